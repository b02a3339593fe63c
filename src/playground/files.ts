import { type Runtime, randomId } from '../runtime.ts'
import type { DocumentInfo, PhotoSize } from './model.ts'
import type { Params, Upload } from './params.ts'
import { badRequest } from './refusal.ts'

/** Bot API limits for uploads, in bytes. */
const PHOTO_BYTES = 10 * 1024 * 1024
/** A photo's width and height together; neither side more than twenty times the other. */
const PHOTO_SIDES = 10_000
const PHOTO_RATIO = 20

export interface StoredFile {
  fileId: string
  uniqueId: string
  /** Where getFile says it is: below /file/bot<token>/. */
  path: string
  name: string
  mime: string
  bytes: Buffer
}

/** Every file sent through this Telegram, in memory. */
export class FileStore {
  readonly #runtime: Runtime
  readonly #byId = new Map<string, StoredFile>()

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  add(upload: Upload, folder: 'photos' | 'documents'): StoredFile {
    const fileId = randomId(this.#runtime, 240)
    const name = upload.fileName.replace(/^.*[/\\]/, '') || 'file'
    const mime =
      imageMime(upload.bytes) ??
      (/\.(txt|log|conf)$/i.test(name)
        ? 'text/plain'
        : /\.json$/i.test(name)
          ? 'application/json'
          : 'application/octet-stream')
    const extension = /\.[a-z0-9]{1,8}$/i.exec(name)?.[0] ?? ''
    const path = `${folder}/file_${this.#byId.size}${extension}`
    const file = { fileId, uniqueId: randomId(this.#runtime, 72), path, name, mime, bytes: upload.bytes }
    this.#byId.set(fileId, file)
    return file
  }

  get(fileId: string): StoredFile | undefined {
    return this.#byId.get(fileId)
  }

  atPath(path: string): StoredFile | undefined {
    return [...this.#byId.values()].find((file) => file.path === path)
  }

  /** The file a parameter names: `attach://part`, a part of the same name, or a file_id sent before. */
  resolve(params: Params, kind: 'photo' | 'document', value: string | undefined): StoredFile {
    const attached =
      value?.startsWith('attach://') === true ? params.upload(value.slice('attach://'.length)) : undefined
    const upload = attached ?? params.upload(kind)
    if (upload !== undefined) {
      if (upload.bytes.length === 0) throw badRequest('file must be non-empty')
      if (kind === 'photo') checkPhoto(upload.bytes)
      return this.add(upload, kind === 'photo' ? 'photos' : 'documents')
    }
    if (value === undefined || value === '') throw badRequest(`there is no ${kind} in the request`)
    // Nothing beyond this machine is fetched, which to a bot is a server that does not answer.
    if (/^https?:\/\//i.test(value)) throw badRequest('failed to get HTTP URL content')
    const known = this.#byId.get(value)
    if (known === undefined) throw badRequest('wrong file identifier/HTTP URL specified')
    if (kind === 'photo' && imageSize(known.bytes) === undefined)
      throw badRequest("can't use file of type Document as Photo")
    return known
  }
}

/** How a photo stands in a message. Telegram sends several sizes; the last is the largest and here the only one. */
export function photoOf(file: StoredFile): PhotoSize[] {
  const size = imageSize(file.bytes) ?? { width: 0, height: 0 }
  return [{ file_id: file.fileId, file_unique_id: file.uniqueId, ...size, file_size: file.bytes.length }]
}

/** How a document stands in a message. */
export function documentOf(file: StoredFile): DocumentInfo {
  return {
    file_id: file.fileId,
    file_unique_id: file.uniqueId,
    file_name: file.name,
    mime_type: file.mime,
    file_size: file.bytes.length,
  }
}

function checkPhoto(bytes: Buffer): void {
  if (bytes.length > PHOTO_BYTES) {
    throw badRequest(
      `file of size ${bytes.length} bytes is too big for a photo; the maximum size is ${PHOTO_BYTES} bytes`,
    )
  }
  const size = imageSize(bytes)
  if (size === undefined) throw badRequest('IMAGE_PROCESS_FAILED')
  const { width, height } = size
  const tooLong = width > height * PHOTO_RATIO || height > width * PHOTO_RATIO
  if (width + height > PHOTO_SIDES || tooLong) throw badRequest('PHOTO_INVALID_DIMENSIONS')
}

const PNG_SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex')

function imageMime(bytes: Buffer): string | undefined {
  if (bytes.subarray(0, 8).equals(PNG_SIGNATURE)) return 'image/png'
  return bytes.subarray(0, 3).toString('hex') === 'ffd8ff' ? 'image/jpeg' : undefined
}

/** Width and height in pixels of a PNG or JPEG, undefined for anything else. */
function imageSize(bytes: Buffer): { width: number; height: number } | undefined {
  const mime = imageMime(bytes)
  if (mime === 'image/png' && bytes.length >= 24) {
    return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) }
  }
  if (mime !== 'image/jpeg') return undefined
  // JPEG is a chain of segments; the frame header (SOF0 to SOF15 but DHT, JPG and DAC) holds the size.
  for (let at = 2; at + 9 <= bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    const marker = bytes.readUInt8(at + 1)
    if (bytes.readUInt8(at) !== 0xff) return undefined
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) }
    }
  }
  return undefined
}
