// What an application hands to putFile: told what it is, and read as bytes.

/** What can be stored. */
export type PutFileContent = string | Uint8Array | ArrayBufferView | ArrayBufferLike | Blob | readonly number[];

/** Content that is ready to be stored. */
export interface Content {
  /** How many bytes it has, known without reading it. */
  size: number;
  /** The media type for content that is not encrypted. */
  type: string;
  /** Whether a reader is to get a string. */
  wasString: boolean;
  /** Reads it. */
  bytes(): Promise<Uint8Array>;
}

const SUPPORTED =
  "Supported types are: `string` (to be UTF8 encoded), " +
  "`Blob`, `File`, `ArrayBuffer`, `UInt8Array` or any other typed array buffer. ";

/** Looks at what an application wants stored; a type that it names goes before what the content itself says. */
export function readContent(content: unknown, contentType: string | undefined): Content {
  const wasString = typeof content === "string";
  const body = normalize(content, contentType);
  const named = contentType || (body instanceof Blob && body.type);
  return {
    size: body instanceof Blob ? body.size : body.byteLength,
    type: named || (wasString ? "text/plain; charset=utf-8" : "application/octet-stream"),
    wasString,
    bytes: async () => (body instanceof Blob ? new Uint8Array(await body.arrayBuffer()) : body),
  };
}

function normalize(content: unknown, contentType: string | undefined): Uint8Array | Blob {
  try {
    if (typeof content === "string") {
      checkCharset(contentType);
      return new TextEncoder().encode(content);
    }
    if (content instanceof Uint8Array || content instanceof Blob) {
      return content;
    }
    if (ArrayBuffer.isView(content)) {
      return new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
    }
    if (content instanceof ArrayBuffer) {
      return new Uint8Array(content);
    }
    if (Array.isArray(content)) {
      checkOctets(content);
      return new Uint8Array(content);
    }
    const kind = Object.prototype.toString.call(content);
    throw new Error(`Unexpected type provided as file data: ${kind}. ${SUPPORTED}`);
  } catch (thrown) {
    throw new Error(`Error processing data: ${String(thrown)}`);
  }
}

/** Text is stored as UTF-8, so no other charset may be promised. */
function checkCharset(contentType: string | undefined): void {
  const type = (contentType ?? "").toLowerCase().replace("-", "");
  if (type.includes("charset") && !type.includes("charset=utf8") && !type.includes("charset=ascii")) {
    throw new Error(`Unable to determine byte length with charset: ${contentType}`);
  }
}

function checkOctets(values: unknown[]): void {
  const [first] = values;
  if (values.length > 0 && !(Number.isInteger(first) && (first as number) >= 0 && (first as number) <= 255)) {
    throw new Error(
      `Unexpected array values provided as file data: value "${String(first)}" at index 0 is not an octet number. ${SUPPORTED}`,
    );
  }
}
