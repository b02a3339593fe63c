import { certificateErrorKinds } from './error-kinds-certificates.ts'
import { xrayErrorKinds } from './error-kinds-xray.ts'
import { backupErrorKinds } from './error-kinds-backup.ts'

/**
 * Every error a person or a program can meet, in one registry: its code, HTTP status, whether trying again may
 * help, and what to say. A text key of the same code (`errors.<code>`) holds the words for the chat.
 */
export interface ErrorKind {
  status: number
  retryable: boolean
  /** What happened and what to do, in English, with {placeholders} from `details`. */
  message: string
}

export const errorKinds = {
  BAD_INPUT: { status: 400, retryable: false, message: 'The {field} is not valid: {reason}.' },
  NOT_FOUND: { status: 404, retryable: false, message: 'There is nothing at this address.' },
  IDEMPOTENCY_KEY_REQUIRED: {
    status: 400,
    retryable: false,
    message: 'A change needs an Idempotency-Key header, so that a repeated request is applied once.',
  },
  IDEMPOTENCY_CONFLICT: {
    status: 409,
    retryable: false,
    message: 'This Idempotency-Key was used for another request. Use a new key.',
  },
  STALE_ROW_VERSION: {
    status: 409,
    retryable: false,
    message: 'Someone changed it meanwhile. Look at it again and repeat your change.',
  },
  INBOUND_NOT_FOUND: {
    status: 404,
    retryable: false,
    message: 'There is no inbound {inbound} on this server.',
  },
  INBOUND_TAG_TAKEN: {
    status: 409,
    retryable: false,
    message: 'An inbound with the tag {tag} is already there. Choose another.',
  },
  PORT_TAKEN: { status: 409, retryable: false, message: 'Port {port} is used by {by}. Choose a free port.' },
  CLIENT_NOT_FOUND: { status: 404, retryable: false, message: 'There is no client {email} on this server.' },
  CLIENT_NAME_TAKEN: {
    status: 409,
    retryable: false,
    message: 'A client named {email} is already on this server with other credentials. Choose another name.',
  },
  ...certificateErrorKinds,
  ...xrayErrorKinds,
  SERVER_NOT_FOUND: { status: 404, retryable: false, message: 'There is no server {server}.' },
  SERVER_NAME_TAKEN: {
    status: 409,
    retryable: false,
    message: 'A server named {name} is already there. Choose another name.',
  },
  SERVER_UNREACHABLE: { status: 503, retryable: true, message: 'The server cannot be reached: {reason}.' },
  SERVER_TIMEOUT: { status: 504, retryable: true, message: 'The server did not answer within {seconds} s.' },
  SERVER_NOT_JOINED: {
    status: 503,
    retryable: true,
    message: 'This server has not joined yet. Run its join command on it.',
  },
  SERVER_DISABLED: {
    status: 409,
    retryable: false,
    message: 'This server is switched off in fleetgram. Switch it on first.',
  },
  SERVER_IS_LOCAL: {
    status: 409,
    retryable: false,
    message: 'The server fleetgram itself runs on cannot be removed. It can be switched off.',
  },
  OUTCOME_UNKNOWN: {
    status: 504,
    retryable: false,
    message: 'The server did not say whether this was done. Look at it before you repeat it.',
  },
  TASK_EXPIRED: {
    status: 504,
    retryable: false,
    message: 'The server stayed away too long, so this change was given up. Repeat it if you still want it.',
  },
  CONFIG_INVALID: {
    status: 500,
    retryable: false,
    message: '{key} in {file} is not right: {reason}.',
  },
  DATABASE_TOO_NEW: {
    status: 500,
    retryable: false,
    message:
      'The database was written by a newer release (it has {migration}). Install that release or a later one.',
  },
  DATABASE_BROKEN: {
    status: 500,
    retryable: false,
    message: 'The database cannot be used: {reason}. Put back a copy from before.',
  },
  DATA_UNWRITABLE: {
    status: 500,
    retryable: false,
    message:
      'The place {path} cannot be written to: {reason}. Let the user that fleetgram runs as (id {user}) write there, or choose another place in the settings.',
  },
  ...backupErrorKinds,
  DISK_FULL: {
    status: 503,
    // Whether it was written is known only once there is room again: then the same key gets the true outcome.
    retryable: true,
    message: 'The disk is full. Free some space on it; what was asked for then follows by itself.',
  },
  SECRET_UNREADABLE: {
    status: 500,
    retryable: false,
    message: 'A stored secret cannot be read: {reason}. Start with the key this database was written with.',
  },
  KEY_INVALID: {
    status: 500,
    retryable: false,
    message: 'The key in {source} is not 32 bytes in base64 or hex. Put back the right one.',
  },
  TELEGRAM_TOKEN_REFUSED: {
    status: 500,
    retryable: false,
    message:
      'Telegram refused the bot token. Get the right one from @BotFather and put it into the configuration (telegram.token).',
  },
  PAYLOAD_TOO_LARGE: {
    status: 413,
    retryable: false,
    message: 'The request is larger than {limit} bytes. Send it in smaller parts.',
  },
  RATE_LIMITED: {
    status: 429,
    retryable: true,
    message: 'Too many attempts. Wait {seconds} s and try again.',
  },
  TOO_MANY_READERS: {
    status: 429,
    retryable: true,
    message:
      'More than {limit} are reading along at this server, so whoever began first was cut off. Open it again if you still need it.',
  },
  SERVER_IDENTITY_REFUSED: {
    status: 502,
    // Nothing was sent; when the right machine answers at this address again, the change may go there.
    retryable: true,
    message:
      'The machine at {endpoint} is not this server: {reason}. Check the address, or let the server join again.',
  },
  SERVER_ANSWER_UNREADABLE: {
    status: 502,
    retryable: false,
    message:
      "The server's answer is not understood: {reason}. Bring the server and the controller to the same release.",
  },
  SERVER_REFUSED: {
    status: 502,
    retryable: false,
    message: 'The server refused: {reason}',
  },
  JOIN_TOKEN_INVALID: {
    status: 400,
    retryable: false,
    message: 'This is not a join token: {reason}. Copy the whole command from the chat again.',
  },
  JOIN_TOKEN_WRONG: {
    status: 403,
    retryable: false,
    message: 'The controller does not know this join token. Make a new one in the chat.',
  },
  JOIN_TOKEN_USED: {
    status: 403,
    retryable: false,
    message: 'This join token was used already, by another machine. Make a new one in the chat.',
  },
  JOIN_TOKEN_EXPIRED: {
    status: 403,
    retryable: false,
    message: 'This join token has expired; it lives 15 minutes. Make a new one in the chat.',
  },
  JOIN_PIN_MISMATCH: {
    status: 502,
    retryable: false,
    message:
      'What answers at {address} is not the controller this token was made by, so nothing was sent to it. Check the address and the network between.',
  },
  JOIN_KEY_REFUSED: {
    status: 403,
    retryable: false,
    message:
      "The controller refuses this machine's key: {reason}. Delete {file} on the agent and join again.",
  },
  CONTROLLER_UNREACHABLE: {
    status: 503,
    retryable: true,
    message:
      'The controller at {address} cannot be reached: {reason}. Is it running, and is its port open in the firewall?',
  },
  CLOCK_SKEW: {
    status: 502,
    retryable: false,
    message:
      "This machine's clock shows {here}, which the controller's certificate is not valid for. Set the clock and try again.",
  },
  ALREADY_JOINED: {
    status: 409,
    retryable: false,
    message:
      'This machine has joined already, as server {server}, and the token is not for that server: {reason}. Nothing was changed here. To make it another server, stop its agent, delete agent.key and identity.json in {folder}, and run the command again.',
  },
  NOT_JOINED: {
    status: 409,
    retryable: false,
    message:
      'This machine has not joined a controller yet. Add a server in the chat and run the command it gives.',
  },
  IDENTITY_BROKEN: {
    status: 500,
    retryable: false,
    message:
      "This machine's identity in {folder} cannot be read, or its two files do not belong together. Delete agent.key and identity.json there and join again with a new command from the chat.",
  },
  ADDRESS_TAKEN: {
    status: 500,
    retryable: false,
    message: 'Cannot listen on {address}: {reason}. Free it, or choose another address in the settings.',
  },
  CHANGE_UNSETTLED: {
    status: 503,
    retryable: true,
    message:
      'The server could not write down what became of this change: {reason}. Once that is mended, the change is brought to its end by itself.',
  },
  INTERNAL: {
    status: 500,
    retryable: false,
    message: 'Something went wrong here. The log has the details under {trace}.',
  },
} as const satisfies Record<string, ErrorKind>
