import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { escapeHtml, html, lines } from './html.ts'

const unescape = (text: string): string =>
  text.replaceAll('&quot;', '"').replaceAll('&gt;', '>').replaceAll('&lt;', '<').replaceAll('&amp;', '&')

describe('html', () => {
  test('whatever is put in comes out as text, never as markup', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const { value } = html`<b>${text}</b>`
        const inner = value.slice('<b>'.length, -'</b>'.length)
        expect(inner).not.toMatch(/[<>"]/)
        expect(unescape(inner)).toBe(text)
        expect(escapeHtml(text)).toBe(inner)
      }),
    )
  })

  test('nested markup is kept, lists are joined', () => {
    expect(html`<b>${html`<i>${'<'}</i>`}</b>${[html`1`, html`2`]}`.value).toBe('<b><i>&lt;</i></b>12')
  })

  test('lines leaves out what is undefined and keeps blank lines', () => {
    expect(lines('a & b', undefined, '', false, html`<b>c</b>`).value).toBe('a &amp; b\n\n<b>c</b>')
  })
})
