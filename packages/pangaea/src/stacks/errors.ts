// The errors of the stock client, as far as applications look at them: names, codes, the hub's answer, and the first words of
// the message. Their classes are our own, so `instanceof` works with the classes exported here only.

/** What a hub's refusal was made of. */
export interface HubAnswer {
  status: number;
  statusText: string;
  /** The parsed JSON of the answer, or its text. */
  body?: unknown;
}

/** The hub's answer as applications find it in an error's `hubError`. */
export interface HubErrorDetails {
  message?: string;
  statusCode: number;
  statusText: string;
  [field: string]: unknown;
}

/** Every error of this face that has a code. */
export class StorageError extends Error {
  /** The stock client's word for what went wrong. */
  readonly code: string;
  /** Always undefined; the stock client's errors have this field too. */
  readonly parameter: string | undefined = undefined;

  constructor(name: string, code: string, message: string) {
    super(message);
    this.name = name;
    this.code = code;
  }
}

/** The session is not in a state to do this, mostly: nobody is signed in. */
export class InvalidStateError extends StorageError {
  constructor(message: string) {
    super("InvalidStateError", "invalid_state", message);
  }
}

/** A signature is missing, of somebody else, or does not fit the file. */
export class SignatureVerificationError extends StorageError {
  constructor(reason: string) {
    super("SignatureVerificationError", "signature_verification_failure", `Failed to verify signature: ${reason}`);
  }
}

/** The file is not encrypted, or for another key. */
export class FailedDecryptionError extends StorageError {
  constructor(message: string) {
    super("FailedDecryptionError", "failed_decryption_error", message);
  }
}

/** The hub refused. */
export class GaiaHubError extends StorageError {
  /** What the hub said. */
  readonly hubError: HubErrorDetails | undefined;

  constructor(name: string, code: string, message: string, answer?: HubAnswer) {
    super(name, code, message);
    this.hubError = answer && details(answer);
  }
}

/** There is no such file. */
export class DoesNotExist extends GaiaHubError {
  constructor(message: string, answer?: HubAnswer) {
    super("DoesNotExist", "does_not_exist", message, answer);
  }
}

/** Another write to the file is under way on the hub. */
export class ConflictError extends GaiaHubError {
  constructor(message: string, answer?: HubAnswer) {
    super("ConflictError", "conflict_error", message, answer);
  }
}

/** The hub wants more proof of who asks. */
export class NotEnoughProofError extends GaiaHubError {
  constructor(message: string, answer?: HubAnswer) {
    super("NotEnoughProofError", "not_enough_proof_error", message, answer);
  }
}

/** No hub takes such a path. */
export class BadPathError extends GaiaHubError {
  constructor(message: string, answer?: HubAnswer) {
    super("BadPathError", "bad_path_error", message, answer);
  }
}

/** The hub does not accept the sign-in. */
export class ValidationError extends GaiaHubError {
  constructor(message: string, answer?: HubAnswer) {
    super("ValidationError", "validation_error", message, answer);
  }
}

/** The file on the hub is another one than was expected. */
export class PreconditionFailedError extends GaiaHubError {
  constructor(message: string, answer?: HubAnswer) {
    super("PreconditionFailedError", "precondition_failed_error", message, answer);
  }
}

/** The file is larger than the hub takes. */
export class PayloadTooLargeError extends GaiaHubError {
  /** The most bytes that the hub takes. */
  readonly maxUploadByteSize: number;

  constructor(message: string, maxUploadByteSize: number, answer?: HubAnswer) {
    super("PayloadTooLargeError", "payload_too_large_error", message, answer);
    this.maxUploadByteSize = maxUploadByteSize;
  }
}

/** The error for a hub's answer that is not the one hoped for. */
export async function refusal(response: Response, message: string): Promise<Error> {
  const answer = await read(response);
  switch (response.status) {
    case 401: return new ValidationError(message, answer);
    case 402: return new NotEnoughProofError(message, answer);
    case 403: return new BadPathError(message, answer);
    case 404: return new DoesNotExist(message, answer);
    case 409: return new ConflictError(message, answer);
    case 412: return new PreconditionFailedError(message, answer);
    case 413: return new PayloadTooLargeError(message, 0, answer);
    default: return new Error(message);
  }
}

async function read(response: Response): Promise<HubAnswer> {
  const text = await response.text().catch(() => "");
  const { status, statusText } = response;
  try {
    return { status, statusText, body: JSON.parse(text) || text };
  } catch {
    return { status, statusText, body: text };
  }
}

function details({ status, statusText, body }: HubAnswer): HubErrorDetails {
  const common = { statusCode: status, statusText };
  if (typeof body === "string") {
    return { ...common, message: body };
  }
  return typeof body === "object" && body !== null ? { ...common, ...body } : common;
}
