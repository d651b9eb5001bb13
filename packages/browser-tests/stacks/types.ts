// An application in TypeScript that has changed its import: it compiles as before. Never run.

import { UserSession } from '@stacks/auth';
import type { Storage as StockStorage } from '@stacks/storage';
import { Storage } from 'pangaea/stacks';

declare const userSession: UserSession;

const storage = new Storage({ userSession });
type Calls = 'putFile' | 'deleteFile' | 'listFiles' | 'getFileUrl' | 'getUserAppFileUrl' | 'getAppBucketUrl' | 'getGaiaAddress';
export const calls: Pick<StockStorage, Calls> = storage;
export const getFile: (...args: Parameters<StockStorage['getFile']>) => ReturnType<StockStorage['getFile']> =
  (...args) => storage.getFile(...args);
