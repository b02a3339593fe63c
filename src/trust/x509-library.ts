// Its dependency injection fails without this, loaded first.
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'

// Handed on whole: imported dynamically by name, a bundler would leave this CommonJS module without names.
export { x509 }
