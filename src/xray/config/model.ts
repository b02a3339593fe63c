import type {
  InboundStream,
  ProtocolSettings,
  RoutingDocument,
  ShadowsocksMethod,
  Sniffing,
} from '#src/contract/index.ts'

/** Keys of an inbound, made on its server. Which of them it has follows from its protocol and its stream. */
export interface InboundSecrets {
  /** REALITY's x25519 private key, base64url. */
  privateKey?: string
  /** Of a Shadowsocks 2022 server, base64: it stands in links before the client's own. */
  shadowsocksKey?: string
  /** WireGuard's private key, base64. */
  wireguardKey?: string
  /** What packets are disguised with (Hysteria's Salamander, mKCP): it stands in links. */
  obfuscation?: string
  /** Of an account nobody has: without any, Xray would let everybody into a mixed inbound. */
  guard?: string
  /** The inbound's own certificate and its key, PEM. */
  certificate?: string
  certificateKey?: string
}

/** Those of them that stand in links. */
export type LinkSecrets = Pick<InboundSecrets, 'shadowsocksKey' | 'obfuscation'>

/** An inbound as links are made of it. */
export type LinkedInbound = ProtocolSettings & {
  id: number
  tag: string
  remark: string
  port: number
  stream: InboundStream
  linkSecrets: LinkSecrets
}

/** One inbound as Xray is told of it. */
export type XrayInbound = ProtocolSettings & {
  tag: string
  /** The IP address it listens on. */
  listen: string
  port: number
  stream: InboundStream
  secrets: InboundSecrets
  sniffing: Sniffing
  /** Where the server's certificate lies that its TLS uses; null: it has its own, or no TLS. Xray reads it again. */
  certificateFiles: { certificateFile: string; keyFile: string } | null
}

/** How one client proves itself in one inbound. */
export type XrayAccount =
  | { type: 'vless'; id: string; /** '' or 'xtls-rprx-vision'. */ flow: string }
  | { type: 'vmess'; id: string }
  | { type: 'trojan'; password: string }
  | { type: 'shadowsocks'; password: string; method: ShadowsocksMethod }
  | { type: 'shadowsocks2022'; key: string }
  | { type: 'hysteria'; auth: string }
  | {
      type: 'wireguard'
      privateKey: string
      publicKey: string
      /** Inside the tunnel, IPv4. */ address: string
    }
  | { type: 'mixed'; password: string }

/** One client as Xray is told of it. */
export interface XrayUser {
  /** Xray compares it without regard to case and counts traffic under it. Never empty: such a user stays forever. */
  email: string
  account: XrayAccount
}

/** Everything the configuration of one Xray is rendered from. */
export interface XrayModel {
  inbounds: Array<XrayInbound & { users: XrayUser[] }>
  routing: RoutingDocument
  /** Whether inbounds are counted as a whole, beside their users. */
  countsInbounds: boolean
  /** Path of the unix socket Xray's API listens on. */
  apiSocket: string
  /** Folder for Xray's own log files. */
  logDir: string
  /** What its access log is written to. Without it there is none: it tells who visits what. */
  accessLog?: string | null
  /**
   * Whether clients may reach loopback and private networks through this server. Only for tests and the demo: on a
   * real server it would open the machine's own services, this one among them, to every client.
   */
  allowPrivateTargets: boolean
}
