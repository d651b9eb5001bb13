// A React application of two components; bundled for the tests.

import { createElement as h, StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';

import { useFile, useSyncStatus } from 'pangaea/react';

globalThis.renders = { note: 0, status: 0 };

function Note({ bucket, path }) {
  globalThis.renders.note += 1;
  const { file, isLoading, error } = useFile(bucket, path);
  const text = isLoading ? 'loading' : error ? `error: ${error.message}` : file === undefined ? 'none' : `${file.text()} (${file.state})`;
  return h('p', { id: 'note' }, `${path}: ${text}`);
}

function Badge({ bucket }) {
  globalThis.renders.status += 1;
  const status = useSyncStatus(bucket);
  return h('p', { id: 'status' }, status === undefined ? 'unknown' : `${status.files} files, ${status.pending} waiting`);
}

function App() {
  const [bucket, setBucket] = useState(undefined);
  const [path, setPath] = useState('a.txt');
  Object.assign(globalThis, { setBucket, setPath });
  return h(StrictMode, null, path && h(Note, { bucket, path }), h(Badge, { bucket }));
}

createRoot(document.getElementById('root')).render(h(App));
