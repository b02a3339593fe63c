import type { InboundStream } from '#src/contract/index.ts'

/** One inbound as Xray is told of it. */
export interface XrayInbound {
  tag: string
  protocol: 'vless'
  /** The IP address it listens on. */
  listen: string
  port: number
  stream: InboundStream
  /** REALITY's x25519 private key, base64url; null for other kinds of security. */
  privateKey: string | null
  sniffing: { enabled: boolean; destOverride: string[] }
}

/** One client as Xray is told of it. */
export interface XrayUser {
  /** Xray compares it without regard to case and counts traffic under it. Never empty: such a user stays forever. */
  email: string
  uuid: string
  /** '' or 'xtls-rprx-vision'. */
  flow: string
}

/** Everything the configuration of one Xray is rendered from. */
export interface XrayModel {
  inbounds: Array<XrayInbound & { users: XrayUser[] }>
  /** Path of the unix socket Xray's API listens on. */
  apiSocket: string
  /** Folder for Xray's own log files. */
  logDir: string
  /**
   * Whether clients may reach loopback and private networks through this server. Only for tests and the demo: on a
   * real server it would open the machine's own services, this one among them, to every client.
   */
  allowPrivateTargets: boolean
}
