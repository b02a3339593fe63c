import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type ErrorCode, errorKinds } from '#src/errors.ts'

const root = join(import.meta.dirname, '../..')

/** Which test brings each error about: its file, and the beginning of its title. A new code does not compile without. */
const provokedBy: Record<ErrorCode, [file: string, title: string]> = {
  BAD_INPUT: ['test/faults/bad-input.test.ts', '%s is refused before anything is journaled'],
  NOT_FOUND: ['src/connectors/http.test.ts', 'knows nothing at %s'],
  IDEMPOTENCY_KEY_REQUIRED: ['src/connectors/contract.test.ts', 'a write without a key is refused'],
  IDEMPOTENCY_CONFLICT: ['src/connectors/contract.test.ts', 'a repeated key has one outcome'],
  STALE_ROW_VERSION: ['test/faults/bad-input.test.ts', '%s: %s is refused'],
  INBOUND_NOT_FOUND: ['test/faults/bad-input.test.ts', '%s: %s is refused'],
  INBOUND_TAG_TAKEN: ['test/faults/bad-input.test.ts', '%s: %s is refused'],
  PORT_TAKEN: ['test/faults/bad-input.test.ts', '%s: %s is refused'],
  CLIENT_NOT_FOUND: ['test/faults/bad-input.test.ts', '%s: %s is refused'],
  CLIENT_NAME_TAKEN: ['test/faults/bad-input.test.ts', '%s: %s is refused'],
  CERTIFICATE_NOT_FOUND: ['src/node/certificates/certificates.test.ts', 'forgets it, and its file'],
  CERTIFICATE_IN_USE: ['src/node/certificates/certificates.test.ts', 'is refused while an inbound uses it'],
  CERTIFICATE_NOT_RENEWABLE: [
    'src/node/certificates/certificates.test.ts',
    'is not renewed, neither by hand',
  ],
  CHALLENGE_PORT_TAKEN: ['src/node/certificates/acme.test.ts', 'that is taken is said before the authority'],
  ACME_REFUSED: ['src/node/certificates/acme.test.ts', '%s is said with its reason, once and for all'],
  ACME_UNREACHABLE: ['src/node/certificates/acme.test.ts', 'is said to be, and the same key gets'],
  XRAY_NOT_FOUND: ['test/faults/machine.test.ts', 'is called that, changes are refused'],
  XRAY_REFUSED: ['src/xray/life/process.test.ts', 'says why a configuration is refused'],
  RESTART_NEEDED: ['src/node/routing.test.ts', 'what Xray reads only at its start needs leave'],
  XRAY_UNAVAILABLE: ['src/xray/api/api.test.ts', 'is unavailable, whatever is asked of it'],
  XRAY_PARTLY: ['src/health/probe.test.ts', 'Xray runs, but without an inbound'],
  XRAY_PINNED: ['src/node/software/install.test.ts', 'is refused where XRAY_BIN names'],
  XRAY_ROLLED_BACK: ['src/node/software/install.test.ts', 'that ends %s is taken back'],
  GEO_FILES_REFUSED: ['src/xray/programs/geo-files.test.ts', 'that Xray does not load'],
  DOWNLOAD_FAILED: ['src/xray/programs/geo-files.test.ts', 'that cannot be fetched'],
  SERVER_NOT_FOUND: ['test/faults/bad-input.test.ts', 'a server nobody knows is refused'],
  SERVER_NAME_TAKEN: ['src/fleet/servers.test.ts', 'a name is one line'],
  SERVER_UNREACHABLE: ['src/connectors/transport.test.ts', 'refuses a caller without a certificate'],
  OUTCOME_UNKNOWN: ['test/faults/replies.test.ts', 'and where no answer comes while the moment lasts'],
  CHANGE_UNSETTLED: ['src/node/writes/writes.test.ts', 'an outcome that cannot be written stays open'],
  SERVER_TIMEOUT: ['test/faults/replies.test.ts', 'the reply never comes, though all is done'],
  SERVER_NOT_JOINED: ['src/connectors/transport.test.ts', 'a server that has not joined is told apart'],
  SERVER_DISABLED: ['src/fleet/servers.test.ts', 'a disabled server gives no connector'],
  SERVER_IS_LOCAL: ['src/fleet/servers.test.ts', 'the machine fleetgram runs on can neither'],
  TASK_EXPIRED: ['src/fleet/tasks.test.ts', 'for longer than a change is wanted'],
  CONFIG_INVALID: ['src/config.test.ts', 'an empty variable of the environment is none'],
  DATABASE_TOO_NEW: ['src/store/open.test.ts', 'refuses one that a newer release has written'],
  DATABASE_BROKEN: ['src/store/open.test.ts', 'refuses one whose migrations were not ours'],
  DATA_UNWRITABLE: ['src/store/open.test.ts', 'says where it cannot write'],
  NOT_A_BACKUP: ['src/node/backup/format.test.ts', '%j is refused'],
  BACKUP_PASSPHRASE_WRONG: ['src/node/backup/format.test.ts', 'opens however the passphrase is spelled'],
  BACKUP_DAMAGED: ['src/node/backup/format.test.ts', 'is refused wherever a bit has changed'],
  BACKUP_TOO_NEW: ['src/node/backup/check-copy.test.ts', 'that a newer release has made'],
  BACKUP_OTHER_KEY: ['src/node/backup/merge.test.ts', 'one with another key says which it needs'],
  DISK_FULL: ['test/faults/machine.test.ts', 'refuses a change whole'],
  SECRET_UNREADABLE: ['src/trust/secret-box.test.ts', 'every changed byte is noticed'],
  KEY_INVALID: ['src/trust/secret-box.test.ts', 'that is no key is refused'],
  TELEGRAM_TOKEN_REFUSED: ['src/bot/resilience.test.ts', 'a wrong token ends the start'],
  PAYLOAD_TOO_LARGE: ['src/connectors/http.test.ts', 'refuses a body over 16 MiB'],
  RATE_LIMITED: ['src/web/gateway.test.ts', 'with a wrong secret is refused, and many attempts'],
  TOO_MANY_READERS: ['src/node/events/events.test.ts', 'the ninth makes the first leave'],
  SERVER_IDENTITY_REFUSED: ['src/connectors/transport.test.ts', "refuses agent 2's certificate"],
  SERVER_ANSWER_UNREADABLE: ['src/connectors/transport.test.ts', 'says that an answer is not one'],
  SERVER_REFUSED: ['src/connectors/transport.test.ts', 'keeps the words of an error'],
  JOIN_TOKEN_INVALID: ['src/web/gateway.test.ts', 'says why the controller cannot be reached'],
  JOIN_TOKEN_WRONG: ['src/web/gateway.test.ts', 'with a wrong secret is refused'],
  JOIN_TOKEN_USED: ['src/web/gateway.test.ts', 'with a used token is refused'],
  JOIN_TOKEN_EXPIRED: ['src/web/gateway.test.ts', 'with an expired token is refused'],
  JOIN_PIN_MISMATCH: ['src/web/gateway.test.ts', "tells nothing to anyone but the token's controller"],
  JOIN_KEY_REFUSED: ['src/web/gateway.test.ts', 'after the server was revoked needs a new key'],
  CONTROLLER_UNREACHABLE: ['src/web/gateway.test.ts', 'says why the controller cannot be reached'],
  CLOCK_SKEW: ['src/web/gateway.test.ts', 'says that the clock is wrong'],
  ALREADY_JOINED: ['src/agent.test.ts', "refuses another server's token"],
  NOT_JOINED: ['src/agent.test.ts', 'joins, serves its controller'],
  IDENTITY_BROKEN: ['src/agent.test.ts', 'says what to do when its identity is broken'],
  ADDRESS_TAKEN: ['src/agent.test.ts', 'ends before it touches Xray when another has its address'],
  INTERNAL: ['src/connectors/http.test.ts', 'what nobody foresaw is logged once'],
}

test.each(Object.entries(provokedBy))('%s is brought about by a test', (code, [file, title]) => {
  const text = readFileSync(join(root, file), 'utf8')
  expect(text, `a test "${title}" in ${file}`).toContain(title)
  expect(text, file).toMatch(new RegExp(`\\b${code}\\b`))
})

test('every error says what to do, or what happens by itself', () => {
  const silent = Object.entries(errorKinds)
    .filter(([, { message, retryable }]) => !retryable && !/\. [A-Z]|: \{reason\}|\{reason\}/.test(message))
    .map(([code]) => code)
  // Nobody can do anything about these but see that what was meant is not there.
  expect(silent.sort()).toEqual([
    'CERTIFICATE_NOT_FOUND',
    'CLIENT_NOT_FOUND',
    'IDEMPOTENCY_KEY_REQUIRED',
    'INBOUND_NOT_FOUND',
    'NOT_FOUND',
    'SERVER_NOT_FOUND',
  ])
})
