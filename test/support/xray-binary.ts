/** The Xray all tests run against, found by the global setup. */
export function xrayBinary(): string {
  const path = process.env['XRAY_BIN']
  if (path === undefined)
    throw new Error('XRAY_BIN is not set: tests are run by vitest, whose setup finds Xray')
  return path
}
