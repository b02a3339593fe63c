import { type TemplateId, commonTemplates, otherTemplates, templateIds } from '#src/fleet/templates.ts'
import { html } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import { type Custom, firstCustom } from './custom-steps.ts'
import { type Choice, type Step, again } from './wizard.ts'

export interface TemplateChoice extends Custom {
  template: TemplateId
  /** Whether those are shown that are for a few. */
  more: boolean
}

export const templateName = (id: TemplateId, t: T): string => t(`template.${id}.name`)

/** What kind of inbound: a handful that fit nearly everybody, the rest behind a button. */
export function templateStep<A extends TemplateChoice>(): Step<A> {
  return {
    ask({ more }, { t }) {
      const shown = more ? otherTemplates : commonTemplates
      const [first] = commonTemplates
      const rows: Choice[][] = shown.map((id) => [
        { text: templateName(id, t), verb: 'use', arg: id, ...(id === first ? { style: 'primary' } : {}) },
      ])
      // Back leads from the rest to the handful.
      const turn: Choice[][] = more
        ? [[{ text: t('custom.name'), verb: 'custom' }]]
        : [[{ text: t('button.more'), verb: 'more' }]]
      return {
        lines: [
          t('addInbound.template'),
          // Together with the buttons it is to fit the screen of a phone.
          ...shown.map((id) => html`• <b>${templateName(id, t)}</b>: ${t(`template.${id}.hint`)}`),
          more && html`• <b>${t('custom.name')}</b>: ${t('custom.hint')}`,
        ],
        rows: [...rows, ...turn],
      }
    },
    answer(answers, input) {
      if (input.kind !== 'tap') return again(answers)
      if (input.verb === 'more') return again({ ...answers, more: true })
      if (input.verb === 'custom') return { next: { ...answers, custom: answers.custom ?? firstCustom } }
      const id = templateIds.find((known) => known === input.arg)
      return input.verb === 'use' && id !== undefined
        ? { next: { ...answers, template: id, custom: null } }
        : again(answers)
    },
    back: (answers) => (answers.more ? { ...answers, more: false } : undefined),
  }
}
