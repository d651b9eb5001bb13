// The stock client as a page loads it; bundled for the tests.

import * as auth from '@stacks/auth';
import * as storage from '@stacks/storage';

globalThis.stock = { auth, storage };
