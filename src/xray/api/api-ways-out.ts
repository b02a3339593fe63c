/** What of Xray's API concerns the ways out and the rules that choose among them. */
import { apiFailure, isAlreadyThere } from './api-failure.ts'
import { type Method, methods, type OutboundMessage, type TypedMessage } from './messages.ts'

export interface WaysOutApi {
  /** Opens a way out, in the place of one of the same tag. What goes through that one goes on. */
  putOutbound(outbound: OutboundMessage): Promise<void>
  /** One that is not there is no failure, to Xray too. What goes through it goes on. */
  removeOutbound(tag: string): Promise<void>
  /** All there are, in no order; the way to the API is none of them. */
  outbounds(): Promise<OutboundMessage[]>
  /** Replaces all rules and balancers. Until it answers, what no rule fits yet takes the first outbound. */
  setRouting(config: TypedMessage): Promise<void>
  /** Names of the rules, in their order. */
  ruleTags(): Promise<string[]>
}

type Call = <Request, Response>(method: Method<Request, Response>, request: Request) => Promise<Response>

export function waysOutApi(call: Call): WaysOutApi {
  const coded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw apiFailure(error)
    }
  }

  return {
    putOutbound: (outbound) =>
      coded(async () => {
        try {
          await call(methods.addOutbound, { outbound })
        } catch (error) {
          if (!isAlreadyThere(error)) throw error
          // There is no way to change one in place. For the moment between these two it refuses new connections.
          await call(methods.removeOutbound, { tag: outbound.tag })
          await call(methods.addOutbound, { outbound })
        }
      }),
    removeOutbound: (tag) =>
      coded(async () => {
        await call(methods.removeOutbound, { tag })
      }),
    outbounds: () => coded(async () => (await call(methods.listOutbounds, {})).outbounds),
    setRouting: (config) =>
      coded(async () => {
        await call(methods.addRules, { config, shouldAppend: false })
      }),
    ruleTags: () =>
      coded(async () => (await call(methods.listRules, {})).rules.map(({ ruleTag }) => ruleTag)),
  }
}
