import { expect, test } from 'vitest'
import { loadLanguages } from '../i18n/texts.ts'
import { forwardStep, parseTarget, siteStep, type TargetChoice } from './target-steps.ts'
import type { Step, WizardEnv } from './wizard.ts'

const env = { t: loadLanguages().forCode('en').t } as unknown as WizardEnv

function typed(step: Step<TargetChoice>, text: string): string | undefined {
  const answered = step.answer({ target: '' }, { kind: 'text', text }, env)
  return 'next' in answered ? answered.next.target : undefined
}

test.each(['0', '65536', '99999', '00000', '-1', 'x', ''])('a port %s leads nowhere', (port) => {
  expect(parseTarget(`www.example.com:${port}`)).toBeUndefined()
  expect(typed(siteStep(), `www.example.com:${port}`)).toBeUndefined()
  expect(typed(forwardStep(), `192.0.2.10:${port}`)).toBeUndefined()
  expect(typed(forwardStep(), `[2001:db8::1]:${port}`)).toBeUndefined()
})

test.each(['1', '443', '65535'])('a port %s does', (port) => {
  expect(typed(siteStep(), `www.example.com:${port}`)).toBe(`www.example.com:${port}`)
  expect(typed(forwardStep(), `192.0.2.10:${port}`)).toBe(`192.0.2.10:${port}`)
  expect(typed(forwardStep(), `[2001:db8::1]:${port}`)).toBe(`[2001:db8::1]:${port}`)
})

test('a site has the port of HTTPS unless another is given', () => {
  expect(typed(siteStep(), 'www.example.com')).toBe('www.example.com:443')
  expect(typed(siteStep(), 'nodots')).toBeUndefined()
})
