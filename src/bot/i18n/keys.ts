// Made by generate.ts from locales/en.json; a test checks that it is up to date.

type none = Record<string, never>

/** Every text of the bot, with the variables it needs. */
export interface Texts {
  'crumb.fleet': none
  'crumb.all': none
  'crumb.servers': none
  'crumb.inbounds': none
  'crumb.clients': none
  'crumb.usage': none
  'crumb.edit': none
  'crumb.join': none
  'crumb.help': none
  'crumb.addServer': none
  'crumb.addInbound': none
  'crumb.addClient': none
  'crumb.limits': none
  'crumb.certificates': none
  'crumb.addTo': none
  'crumb.waiting': none
  'button.allServers': none
  'button.servers': none
  'button.clients': none
  'button.inbounds': none
  'button.addServer': none
  'button.addInbound': none
  'button.addClient': none
  'button.usage': none
  'button.restart': none
  'button.edit': none
  'button.enable': none
  'button.disable': none
  'button.remove': none
  'button.delete': none
  'button.refresh': none
  'button.fleet': none
  'button.home': none
  'button.back': none
  'button.cancel': none
  'button.create': none
  'button.skip': none
  'button.clear': none
  'button.close': none
  'button.continue': { n: string | number }
  'button.showAll': none
  'button.qr': { place: string | number }
  'button.qrCode': none
  'button.newCommand': none
  'button.joinCommand': none
  'button.retryFailed': none
  'button.openClient': none
  'button.openInbound': none
  'button.openServer': none
  'button.checkNow': none
  'button.help': none
  'button.copyCommand': none
  'button.toClients': none
  'button.more': none
  'button.limits': none
  'button.setLimits': none
  'button.resetTraffic': none
  'button.done': none
  'button.certificates': none
  'button.getCertificate': none
  'button.renew': none
  'button.lookAgain': none
  'button.allInbounds': none
  'button.addToServers': none
  'button.addToInbounds': none
  'button.removeFrom': none
  'button.add': none
  'button.waiting': { count: number }
  'button.callOff': { what: string | number }
  'button.callOffYes': none
  'command.start': none
  'command.servers': none
  'command.add': none
  'command.inbound': none
  'command.server': none
  'command.find': none
  'command.cancel': none
  'command.help': none
  'help.intro': none
  'help.start': none
  'help.servers': none
  'help.add': none
  'help.inbound': none
  'help.server': none
  'help.find': none
  'help.cancel': none
  'status.online': none
  'status.offline': none
  'status.error': none
  'status.partly': none
  'status.pending': none
  'status.unchecked': none
  'status.disabled': none
  'time.seconds': { n: string | number }
  'time.minutes': { n: string | number }
  'time.hours': { n: string | number }
  'time.days': { n: string | number }
  'home.offline': none
  'home.error': none
  'home.partly': none
  'home.pending': none
  'home.unchecked': none
  'home.disabled': { n: string | number }
  'home.traffic': { down: string | number; up: string | number }
  'home.updated': { time: string | number }
  'home.online': { online: string | number; total: string | number }
  'home.seen': { time: string | number }
  'home.more': { n: string | number }
  'home.people': { count: number; down: string | number; up: string | number }
  'all.reachable': { reachable: string | number; total: string | number }
  'all.follow': { count: number }
  'all.oneAway': { name: string | number }
  'later.away': { count: number; names: string | number }
  'later.disabled': { count: number; names: string | number }
  'picker.which': none
  'picker.search': none
  'picker.more': { n: string | number }
  'server.seen': { time: string | number }
  'server.toJoin': none
  'server.versions': { agent: string | number; xray: string | number }
  'server.address': none
  'server.region': { region: string | number }
  'server.load': { cpu: string | number; disk: string | number; memory: string | number }
  'server.loadAsking': none
  'server.loadUnreachable': none
  'server.counts': { clients: string | number; inbounds: string | number }
  'server.open': { count: number }
  'server.synced': { time: string | number }
  'server.disableQuestion': { name: string | number }
  'server.disableEffect': none
  'server.enableQuestion': { name: string | number }
  'server.enableEffect': none
  'server.removeQuestion': { name: string | number }
  'server.removeEffect': { count: number }
  'server.removed': { name: string | number }
  'waiting.none': none
  'waiting.inOrder': none
  'waiting.untilEnabled': none
  'waiting.begun': none
  'waiting.question': { what: string | number }
  'waiting.effect': { name: string | number }
  'usage.load': { load: string | number }
  'usage.memory': { percent: string | number; total: string | number; used: string | number }
  'usage.swap': { percent: string | number; total: string | number; used: string | number }
  'usage.disk': { percent: string | number; total: string | number; used: string | number }
  'usage.network': { received: string | number; sent: string | number }
  'usage.uptime': { time: string | number }
  'usage.xray': { down: string | number; up: string | number }
  'usage.cpu': { count: number; cpu: string | number }
  'edit.which': none
  'edit.name': none
  'edit.publicAddress': none
  'edit.alias': none
  'edit.notes': none
  'edit.now': none
  'edit.ask.name': none
  'edit.ask.publicAddress': none
  'edit.ask.alias': { id: string | number }
  'edit.ask.notes': none
  'edit.ask.region': none
  'edit.tooLong': { max: string | number }
  'edit.badAddress': none
  'edit.region': none
  'edit.rejoin': none
  'join.run': none
  'join.valid': { minutes: string | number; time: string | number }
  'join.waiting': none
  'restart.effect': none
  'restart.away': { count: number; names: string | number }
  'restart.question': { name: string | number }
  'restart.questionAll': { count: number }
  'inbounds.none': none
  'inbounds.count': { count: number }
  'inbound.on': none
  'inbound.off': none
  'inbound.kind': { kind: string | number; port: string | number }
  'inbound.listen': none
  'inbound.target': none
  'inbound.clients': { n: string | number }
  'inbound.gone': none
  'inbound.deleteQuestion': { server: string | number; tag: string | number }
  'inbound.deleteEffect': { count: number }
  'inbound.disableQuestion': { server: string | number; tag: string | number }
  'inbound.disableEffect': { count: number }
  'filter.all': none
  'filter.disabled': none
  'clients.count': { count: number }
  'clients.hint': none
  'clients.none': none
  'clients.first': none
  'clients.noneDisabled': none
  'clients.notFound': none
  'clients.found': { count: number }
  'client.traffic': { down: string | number; total: string | number; up: string | number }
  'client.servers': { count: number }
  'client.lastActive': { time: string | number }
  'client.off': none
  'client.offEverywhere': none
  'client.noLink': none
  'client.gone': none
  'client.deleteQuestion': { name: string | number }
  'client.deleteEffect': { count: number }
  'client.longLink': none
  'client.removeWhich': { name: string | number }
  'client.removeQuestion': { name: string | number; server: string | number }
  'client.removeEffect': none
  'client.disableQuestion': { name: string | number }
  'client.disableEffect': { count: number }
  'client.resetQuestion': { name: string | number }
  'client.resetEffect': { used: string | number }
  'limits.kind.traffic': none
  'limits.kind.end': none
  'limits.kind.addresses': none
  'limits.kind.period': none
  'limits.none': none
  'limits.free': none
  'limits.never': none
  'limits.noLimit': none
  'limits.noReset': none
  'limits.neverEnds': none
  'limits.unlimited': none
  'limits.which': none
  'limits.perServer': none
  'limits.differ': none
  'limits.usage': { limit: string | number; used: string | number }
  'limits.usageOn': { limit: string | number; server: string | number; used: string | number }
  'limits.until': { time: string | number }
  'limits.untilDay': { day: string | number }
  'limits.lasts': { days: string | number }
  'limits.days': { count: number }
  'limits.daysFromNow': { count: number }
  'limits.daysFromFirstUse': { count: number }
  'limits.everyDays': { count: number }
  'limits.addressCount': { count: number }
  'limits.atOnce': { count: number }
  'limits.addresses': { count: number }
  'limits.resets': { every: string | number; time: string | number }
  'limits.firstUse': none
  'limits.refused.traffic': none
  'limits.refused.expired': none
  'limits.refused.addresses': none
  'limits.now': { limit: string | number }
  'limits.ask.traffic': none
  'limits.ask.end': none
  'limits.ask.addresses': none
  'limits.ask.period': none
  'limits.askAll': none
  'limits.typeAny': none
  'limits.bad.traffic': none
  'limits.bad.end': none
  'limits.bad.addresses': none
  'limits.bad.period': none
  'limits.bad.any': none
  'limits.closed.traffic': none
  'limits.closed.expired': none
  'limits.closed.addresses': none
  'wizard.step': { n: string | number; total: string | number }
  'wizard.typeText': none
  'wizard.reply': none
  'wizard.pickServers': none
  'wizard.pickInbounds': none
  'wizard.typeToSearch': none
  'wizard.searched': { search: string | number }
  'wizard.noServer': { search: string | number }
  'wizard.noInbound': { search: string | number }
  'wizard.allDisabled': none
  'wizard.tap': none
  'addServer.name': none
  'addServer.nameHint': none
  'addServer.badName': { max: string | number }
  'addServer.region': { name: string | number }
  'addServer.badRegion': { max: string | number }
  'addInbound.template': none
  'addInbound.port': none
  'addInbound.badPort': none
  'addInbound.portTaken': { port: string | number; server: string | number }
  'addInbound.tag': none
  'addInbound.tagHint': none
  'addInbound.badTag': none
  'addInbound.target': none
  'addInbound.targetHint': none
  'addInbound.badTarget': none
  'addInbound.servers': none
  'addInbound.clash': { servers: string | number }
  'addInbound.sumPort': { port: string | number }
  'addInbound.sumTag': { tag: string | number }
  'addInbound.sumTarget': { target: string | number }
  'addInbound.sumServers': { servers: string | number }
  'addInbound.forward': none
  'addInbound.forwardHint': none
  'addInbound.badForward': none
  'addInbound.certificate': none
  'addInbound.ownHint': none
  'addInbound.domainHint': none
  'addInbound.ownCertificate': none
  'addInbound.badDomain': none
  'addInbound.sumForward': { target: string | number }
  'addInbound.sumOwn': none
  'addInbound.sumDomain': { domain: string | number }
  'addInbound.getsFirst': { domain: string | number; port: string | number; servers: string | number }
  'addInbound.noneGiven': { domain: string | number; servers: string | number }
  'addInbound.notSaid': { domain: string | number; servers: string | number }
  'template.vless-reality.name': none
  'template.vless-reality.hint': none
  'template.vless-xhttp-reality.name': none
  'template.vless-xhttp-reality.hint': none
  'template.hysteria2.name': none
  'template.hysteria2.hint': none
  'template.trojan-tls.name': none
  'template.trojan-tls.hint': none
  'template.shadowsocks-2022.name': none
  'template.shadowsocks-2022.hint': none
  'template.vless-vision-tls.name': none
  'template.vless-vision-tls.hint': none
  'template.vless-ws-tls.name': none
  'template.vless-ws-tls.hint': none
  'template.vless-grpc-reality.name': none
  'template.vless-grpc-reality.hint': none
  'template.vmess-ws.name': none
  'template.vmess-ws.hint': none
  'template.vless-mkcp.name': none
  'template.vless-mkcp.hint': none
  'template.wireguard.name': none
  'template.wireguard.hint': none
  'template.mixed.name': none
  'template.mixed.hint': none
  'template.tunnel.name': none
  'template.tunnel.hint': none
  'template.vless-plain.name': none
  'template.vless-plain.hint': none
  'kind.protocol.vless': none
  'kind.protocol.vmess': none
  'kind.protocol.trojan': none
  'kind.protocol.shadowsocks': none
  'kind.protocol.hysteria2': none
  'kind.protocol.wireguard': none
  'kind.protocol.mixed': none
  'kind.protocol.tunnel': none
  'kind.transport.raw': none
  'kind.transport.rawHttp': none
  'kind.transport.ws': none
  'kind.transport.httpupgrade': none
  'kind.transport.grpc': none
  'kind.transport.xhttp': none
  'kind.transport.mkcp': none
  'kind.transport.hysteria': none
  'kind.transport.hysteriaObfuscated': none
  'kind.security.tls': none
  'kind.security.reality': none
  'kind.security.none': none
  'how.app': none
  'how.wireguard': none
  'how.mixed': none
  'how.tunnel': { port: string | number; target: string | number }
  'how.udp': { port: string | number }
  'how.ownCertificate': none
  'how.whole': none
  'how.hysteria': none
  'addClient.name': none
  'addClient.badName': none
  'addClient.taken': { name: string | number }
  'addClient.servers': none
  'addClient.inbounds': none
  'addClient.noInbound': none
  'addClient.without': { count: number; servers: string | number }
  'addClient.sumName': { name: string | number }
  'addClient.sumInbounds': { tags: string | number }
  'addClient.sumLimits': { limits: string | number }
  'batch.addClient.doing': { name: string | number }
  'batch.addClient.done': { name: string | number }
  'batch.enableClient.doing': { name: string | number }
  'batch.enableClient.done': { name: string | number }
  'batch.disableClient.doing': { name: string | number }
  'batch.disableClient.done': { name: string | number }
  'batch.deleteClient.doing': { name: string | number }
  'batch.deleteClient.done': { name: string | number }
  'batch.addInbound.doing': { name: string | number }
  'batch.addInbound.done': { name: string | number }
  'batch.enableInbound.doing': { name: string | number }
  'batch.enableInbound.done': { name: string | number }
  'batch.disableInbound.doing': { name: string | number }
  'batch.disableInbound.done': { name: string | number }
  'batch.deleteInbound.doing': { name: string | number }
  'batch.deleteInbound.done': { name: string | number }
  'batch.restart.doing': none
  'batch.restart.done': none
  'batch.other.doing': none
  'batch.other.done': none
  'batch.takesLong': none
  'batch.needed': none
  'batch.follows': none
  'batch.followsEnabled': none
  'batch.working': { count: number; done: string | number }
  'batch.done': { count: number; done: string | number }
  'batch.countDone': { n: string | number }
  'batch.countWaiting': { n: string | number }
  'batch.countFailed': { n: string | number }
  'batch.more': { n: string | number }
  'batch.moreLinks': { count: number }
  'batch.failedAll': { doing: string | number }
  'batch.failedSome': { doing: string | number }
  'batch.limitClient.doing': { name: string | number }
  'batch.limitClient.done': { name: string | number }
  'batch.resetClient.doing': { name: string | number }
  'batch.resetClient.done': { name: string | number }
  'batch.getCertificate.doing': { name: string | number }
  'batch.getCertificate.done': { name: string | number }
  'batch.renewCertificate.doing': { name: string | number }
  'batch.renewCertificate.done': { name: string | number }
  'batch.deleteCertificate.doing': { name: string | number }
  'batch.deleteCertificate.done': { name: string | number }
  'batch.removeClient.doing': { name: string | number }
  'batch.removeClient.done': { name: string | number }
  'alert.offline': { name: string | number }
  'alert.error': { name: string | number }
  'alert.partly': { name: string | number }
  'alert.whole': { name: string | number }
  'alert.wasPartly': { time: string | number }
  'alert.up': { name: string | number }
  'alert.since': { time: string | number }
  'alert.offlineHint': none
  'alert.wasDown': { time: string | number }
  'alert.refused': { count: number; name: string | number }
  'alert.waited': { count: number }
  'alert.had.offline': { since: string | number; time: string | number }
  'alert.had.error': { since: string | number; time: string | number }
  'alert.had.partly': { since: string | number; time: string | number }
  'toast.forbidden': none
  'toast.foreign': none
  'toast.expired': none
  'toast.already': none
  'toast.old': none
  'toast.tooLate': none
  'toast.nothingToRetry': none
  'toast.typed': none
  'toast.checking': none
  failed: none
  stranger: none
  'errors.BAD_INPUT': { field: string | number; reason: string | number }
  'errors.NOT_FOUND': none
  'errors.IDEMPOTENCY_KEY_REQUIRED': none
  'errors.IDEMPOTENCY_CONFLICT': none
  'errors.STALE_ROW_VERSION': none
  'errors.INBOUND_NOT_FOUND': { inbound: string | number }
  'errors.INBOUND_TAG_TAKEN': { tag: string | number }
  'errors.PORT_TAKEN': { by: string | number; port: string | number }
  'errors.CLIENT_NOT_FOUND': { email: string | number }
  'errors.CLIENT_NAME_TAKEN': { email: string | number }
  'errors.CERTIFICATE_NOT_FOUND': { domain: string | number }
  'errors.CERTIFICATE_IN_USE': { by: string | number; domain: string | number }
  'errors.CERTIFICATE_NOT_RENEWABLE': { domain: string | number }
  'errors.CHALLENGE_PORT_TAKEN': { domain: string | number; port: string | number; reason: string | number }
  'errors.ACME_REFUSED': { domain: string | number; reason: string | number }
  'errors.ACME_UNREACHABLE': { directory: string | number; reason: string | number }
  'errors.XRAY_NOT_FOUND': { reason: string | number }
  'errors.XRAY_PINNED': { binary: string | number }
  'errors.XRAY_ROLLED_BACK': { before: string | number; reason: string | number; version: string | number }
  'errors.GEO_FILES_REFUSED': { reason: string | number }
  'errors.DOWNLOAD_FAILED': { reason: string | number; what: string | number }
  'errors.XRAY_REFUSED': { reason: string | number }
  'errors.XRAY_UNAVAILABLE': { reason: string | number }
  'errors.XRAY_PARTLY': { reason: string | number }
  'errors.SERVER_NOT_FOUND': { server: string | number }
  'errors.SERVER_NAME_TAKEN': { name: string | number }
  'errors.SERVER_UNREACHABLE': { reason: string | number }
  'errors.SERVER_TIMEOUT': { seconds: string | number }
  'errors.SERVER_NOT_JOINED': none
  'errors.SERVER_DISABLED': none
  'errors.SERVER_IS_LOCAL': none
  'errors.OUTCOME_UNKNOWN': none
  'errors.TASK_EXPIRED': none
  'errors.CONFIG_INVALID': { file: string | number; key: string | number; reason: string | number }
  'errors.DATABASE_TOO_NEW': { migration: string | number }
  'errors.DATABASE_BROKEN': { reason: string | number }
  'errors.DATA_UNWRITABLE': { path: string | number; reason: string | number; user: string | number }
  'errors.NOT_A_BACKUP': { reason: string | number }
  'errors.BACKUP_PASSPHRASE_WRONG': none
  'errors.BACKUP_DAMAGED': { reason: string | number }
  'errors.BACKUP_TOO_NEW': { release: string | number }
  'errors.BACKUP_OTHER_KEY': { key: string | number }
  'errors.DISK_FULL': none
  'errors.SECRET_UNREADABLE': { reason: string | number }
  'errors.KEY_INVALID': { source: string | number }
  'errors.TELEGRAM_TOKEN_REFUSED': none
  'errors.ADDRESS_TAKEN': { address: string | number; reason: string | number }
  'errors.PAYLOAD_TOO_LARGE': { limit: string | number }
  'errors.RATE_LIMITED': { seconds: string | number }
  'errors.TOO_MANY_READERS': { limit: string | number }
  'errors.SERVER_IDENTITY_REFUSED': { endpoint: string | number; reason: string | number }
  'errors.SERVER_ANSWER_UNREADABLE': { reason: string | number }
  'errors.SERVER_REFUSED': { reason: string | number }
  'errors.JOIN_TOKEN_INVALID': { reason: string | number }
  'errors.JOIN_TOKEN_WRONG': none
  'errors.JOIN_TOKEN_USED': none
  'errors.JOIN_TOKEN_EXPIRED': none
  'errors.JOIN_PIN_MISMATCH': { address: string | number }
  'errors.JOIN_KEY_REFUSED': { file: string | number; reason: string | number }
  'errors.CONTROLLER_UNREACHABLE': { address: string | number; reason: string | number }
  'errors.CLOCK_SKEW': { here: string | number }
  'errors.ALREADY_JOINED': { folder: string | number; reason: string | number; server: string | number }
  'errors.IDENTITY_BROKEN': { folder: string | number }
  'errors.NOT_JOINED': none
  'errors.RESTART_NEEDED': { reasons: string | number }
  'errors.CHANGE_UNSETTLED': { reason: string | number }
  'errors.INTERNAL': { trace: string | number }
  'certificates.none': none
  'certificates.count': { count: number }
  'certificates.daysLeft': { count: number }
  'certificates.ended': none
  'certificates.asking': none
  'certificates.unreachable': none
  'certificates.gone': none
  'certificates.kind.acme': { issuer: string | number }
  'certificates.kind.self-signed': none
  'certificates.kind.imported': none
  'certificates.until': { time: string | number }
  'certificates.renews': { time: string | number }
  'certificates.staysAsIs': none
  'certificates.lastError': { reason: string | number }
  'certificates.usedBy': { inbounds: string | number }
  'certificates.unused': none
  'certificates.deleteQuestion': { domain: string | number; server: string | number }
  'certificates.deleteEffect': none
  'certificates.short.acme': none
  'certificates.short.self-signed': none
  'certificates.short.imported': none
  'getCertificate.domain': none
  'getCertificate.domainHint': none
  'getCertificate.badDomain': none
  'getCertificate.proof': { domain: string | number }
  'getCertificate.leadsTo': { address: string | number; domain: string | number }
  'getCertificate.leadsNowhere': { domain: string | number }
  'getCertificate.leadsElsewhere': { domain: string | number; found: string | number; own: string | number }
  'getCertificate.leadsAside': { domain: string | number; servers: string | number }
  'getCertificate.free': none
  'getCertificate.inTheWay': { port: string | number; tag: string | number }
  'getCertificate.through': { port: string | number }
  'placeClient.same': none
  'placeClient.nowhere': { name: string | number }
  'custom.name': none
  'custom.hint': none
  'custom.protocol': none
  'custom.transport': none
  'custom.security': none
  'extras.sniffing': none
  'extras.setFallback': none
  'extras.fallback': none
  'extras.fallbackHint': none
  'extras.noFallback': none
  'extras.badFallback': none
  'extras.sumFallback': { target: string | number }
  'field.name': none
  'field.publicAddress': none
  'field.region': none
  'field.alias': none
  'field.notes': none
  'field.tag': none
  'field.port': none
  'field.listen': none
  'field.email': none
  'field.target': none
  'field.serverNames': none
  'field.domain': none
  'field.limitBytes': none
  'field.expiresAt': none
  'field.lastsDays': none
  'field.ipLimit': none
  'field.resetDays': none
  'field.dest': none
}

export type TextKey = keyof Texts
