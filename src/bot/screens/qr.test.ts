import { expect, test } from 'vitest'
import { loadLanguages } from '../i18n/texts.ts'
import { type LinkRef, qrButtons } from './qr.ts'

const { t } = loadLanguages().forCode('en')
const link = (name: string, tag: string, alone: boolean): LinkRef => ({
  server: { id: 1, name },
  clientId: 1,
  tag,
  link: 'vless://x',
  index: 0,
  alone,
})
const labels = (entries: LinkRef[], single = false): string[][] =>
  qrButtons(entries, single, t).map((row) => row.map(({ text }) => text))

test('two short labels stand beside each other; longer ones, which would be cut off, have a row each', () => {
  expect(labels([link('de-1', 'main', true), link('nl-1', 'main', true)])).toEqual([
    ['QR · de-1', 'QR · nl-1'],
  ])
  expect(labels([link('de-1', 'reality-443', false), link('de-1', 'ss-8388', false)])).toEqual([
    ['QR · de-1 · reality-443'],
    ['QR · de-1 · ss-8388'],
  ])
})

test('one of several links of a server names its inbound, also where the others are on another page', () => {
  expect(labels([link('nl-1', 'main', false)])).toEqual([['QR · nl-1 · main']])
})

test('the only server is not named', () => {
  expect(labels([link('vps', 'main', true)], true)).toEqual([['QR code']])
  expect(labels([link('vps', 'main', false), link('vps', 'ss', false)], true)).toEqual([
    ['QR · main', 'QR · ss'],
  ])
})
