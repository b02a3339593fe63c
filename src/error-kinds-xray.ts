/** What can go wrong with Xray itself, its program and its data files: part of the registry in error-kinds.ts. */
export const xrayErrorKinds = {
  XRAY_NOT_FOUND: {
    status: 500,
    retryable: false,
    message: 'There is no Xray to run: {reason}. Put xray on PATH, or name it in XRAY_BIN.',
  },
  XRAY_REFUSED: { status: 422, retryable: false, message: 'Xray refused the configuration: {reason}.' },
  RESTART_NEEDED: {
    status: 409,
    retryable: false,
    message:
      'Xray takes this change only at its start, which ends all connections: {reasons}. Ask for it again and allow the restart.',
  },
  XRAY_UNAVAILABLE: { status: 503, retryable: true, message: 'Xray does not answer: {reason}.' },
  XRAY_PARTLY: { status: 503, retryable: true, message: 'Xray runs, but not all of it works: {reason}.' },
  XRAY_PINNED: {
    status: 409,
    retryable: false,
    message:
      'XRAY_BIN names the Xray of this server ({binary}). Take it out of its environment to install others.',
  },
  XRAY_ROLLED_BACK: {
    status: 422,
    retryable: false,
    message:
      'Xray {version} does not run here: {reason}. Xray {before} runs again, with everything as it was.',
  },
  GEO_FILES_REFUSED: { status: 422, retryable: false, message: 'The geo files stay as they were: {reason}.' },
  DOWNLOAD_FAILED: {
    status: 502,
    retryable: false,
    message: 'The server could not download {what}: {reason}. Check its way to the internet and try again.',
  },
} as const
