import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { parseXrayName } from '#src/xray/config/user-name.ts'
import { emailKey } from '../rows/rows.ts'

const S = LOCAL_SERVER_ID

/** Tells who may use Xray now, by the names Xray knows them by. */
export function createAdmission(db: Sqlite) {
  const find = db
    .prepare(
      `select i.enabled = 1 and i.blocked is null and c.enabled = 1 and (c.blocked is null or c.blocked = 'addresses')
     from clients c
     join client_inbounds p on p.server_id = c.server_id and p.client_id = c.id
     join inbounds i on i.server_id = c.server_id and i.id = p.inbound_id
     where c.server_id = ${S} and c.email_key = ? and i.id = ?`,
    )
    .pluck()
  /**
   * Whether what stands of this client may go on. Of one who comes from too many addresses it may: there is room
   * again when some of it ends.
   */
  return (name: string): boolean => {
    const parts = parseXrayName(name)
    return parts !== null && find.get(emailKey(parts.email), parts.inboundId) === 1
  }
}
