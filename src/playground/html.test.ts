import { describe, expect, it } from 'vitest'
import { parseHtml } from './html.ts'
import { finish } from './text.ts'

describe('parseHtml', () => {
  it('turns tags into entities counted in UTF-16 units, outermost first', () => {
    expect(parseHtml('🟢 <b>bold <i>both</i></b> <u>u</u> <s>s</s> <tg-spoiler>x</tg-spoiler>')).toEqual({
      text: '🟢 bold both u s x',
      entities: [
        { type: 'bold', offset: 3, length: 9 },
        { type: 'italic', offset: 8, length: 4 },
        { type: 'underline', offset: 13, length: 1 },
        { type: 'strikethrough', offset: 15, length: 1 },
        { type: 'spoiler', offset: 17, length: 1 },
      ],
    })
  })

  it('makes one block of pre and code, with the language', () => {
    expect(parseHtml('<pre><code class="language-bash">ls <b>-l</b></code></pre>').entities).toEqual([
      { type: 'pre', language: 'bash', offset: 0, length: 5 },
    ])
    expect(parseHtml('<pre>x</pre><code class="language-js">y</code>').entities).toEqual([
      { type: 'pre', offset: 0, length: 1 },
      { type: 'code', offset: 1, length: 1 },
    ])
  })

  it('knows quotes, moments and links', () => {
    const source =
      '<blockquote expandable>q</blockquote><tg-time unix="1647531900" format="wDT">t</tg-time>' +
      '<a href="http://x.org/?a=1&amp;b=2">l</a>'
    expect(parseHtml(source).entities).toEqual([
      { type: 'expandable_blockquote', offset: 0, length: 1 },
      { type: 'date_time', unix_time: 1647531900, date_time_format: 'wDT', offset: 1, length: 1 },
      { type: 'text_link', url: 'http://x.org/?a=1&b=2', offset: 2, length: 1 },
    ])
  })

  it('keeps the text of a link that is none to Telegram', () => {
    expect(parseHtml('<a href="vless://id@host">l</a>')).toEqual({ text: 'l', entities: [] })
    expect(parseHtml('<a href="javascript:alert(1)">l</a>')).toEqual({ text: 'l', entities: [] })
  })

  it('decodes what Telegram decodes and leaves the rest', () => {
    expect(parseHtml('&lt;&gt;&amp;&quot;&#65;&#x1F600;').text).toBe('<>&"A😀')
    expect(parseHtml('a &copy; b & c &nbsp; &#0;').text).toBe('a &copy; b & c &nbsp; &#0;')
  })
})

describe('finish', () => {
  it('trims the text and moves its entities along', () => {
    expect(finish({ text: '  bold \n', entities: [{ type: 'bold', offset: 0, length: 8 }] })).toEqual({
      text: 'bold',
      entities: [{ type: 'bold', offset: 0, length: 4 }],
    })
  })

  it('finds commands, links and mentions, but not in code', () => {
    const { text, entities } = parseHtml(
      '/start see https://x.org/a. @fleet_bot <code>/not https://y.org</code>',
    )
    expect(
      finish({ text, entities }).entities.map(({ type, offset, length }) => [
        type,
        text.substr(offset, length),
      ]),
    ).toEqual([
      ['bot_command', '/start'],
      ['url', 'https://x.org/a'],
      ['mention', '@fleet_bot'],
      ['code', '/not https://y.org'],
    ])
  })

  it('keeps a hundred entities, as Telegram does', () => {
    const { text, entities } = parseHtml('<b>x</b> '.repeat(120))
    expect(finish({ text, entities }).entities).toHaveLength(100)
  })
})
