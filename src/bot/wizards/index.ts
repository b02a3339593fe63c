import type { Services } from '../services.ts'
import { addClientWizard } from './add-client.ts'
import { addInboundWizard } from './add-inbound.ts'
import { addServerWizard } from './add-server.ts'
import { editFieldWizard } from './edit-field.ts'
import { editLimitWizard } from './edit-limit.ts'
import { getCertificateWizard } from './get-certificate.ts'
import { placeClientWizard } from './place-client.ts'
import type { AnyWizard } from './run.ts'

/** Every wizard by the name that stands in its drafts. */
export function createWizards(s: Services): Record<string, AnyWizard> {
  return {
    addServer: addServerWizard(s),
    addInbound: addInboundWizard(s),
    addClient: addClientWizard(s),
    placeClient: placeClientWizard(s),
    getCertificate: getCertificateWizard(s),
    editField: editFieldWizard(s),
    editLimit: editLimitWizard(s),
  }
}
