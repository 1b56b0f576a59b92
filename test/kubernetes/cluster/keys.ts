/** Keys, certificates and tokens with which the parts of a cluster know each other. */
import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Somebody who may call the apiserver, by a token that it knows from its start on. */
export interface ClusterUser {
  readonly name: string;
  readonly groups: readonly string[];
}

/** Files of the keys. */
export interface ClusterKeys {
  readonly folder: string;
  /** Signs tokens of ServiceAccounts. */
  readonly accountKey: string;
  readonly accountPublicKey: string;
  /** By it the apiserver shows a kubelet who it is; signed by itself, so it is its own authority. */
  readonly kubeletClientCertificate: string;
  readonly kubeletClientKey: string;
  readonly tokens: string;
  /** Token by name of the user. */
  readonly tokenOf: ReadonlyMap<string, string>;
}

/** Writes all of them into a folder that only we can read. */
export async function makeKeys(folder: string, users: readonly ClusterUser[]): Promise<ClusterKeys> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = (name: string) => join(folder, name);
  const keys = {
    folder,
    accountKey: file('accounts.key'),
    accountPublicKey: file('accounts.pub'),
    kubeletClientCertificate: file('kubelet-client.crt'),
    kubeletClientKey: file('kubelet-client.key'),
    tokens: file('tokens.csv'),
  };
  const pair = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  await writeFile(keys.accountKey, pair.privateKey, { mode: 0o600 });
  await writeFile(keys.accountPublicKey, pair.publicKey);
  await makeCertificate(keys.kubeletClientKey, keys.kubeletClientCertificate);
  const tokenOf = new Map(users.map(({ name }) => [name, randomBytes(24).toString('base64url')]));
  const rows = users.map(({ name, groups }) => `${tokenOf.get(name)},${name},${name},"${groups.join(',')}"`);
  await writeFile(keys.tokens, `${rows.join('\n')}\n`, { mode: 0o600 });
  return { ...keys, tokenOf };
}

/** Node has no call that makes a certificate. */
async function makeCertificate(keyFile: string, certificateFile: string): Promise<void> {
  const flags = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];
  try {
    await run('openssl', [
      ...flags,
      ...['-subj', '/O=system:masters/CN=kube-apiserver-kubelet-client', '-addext', 'extendedKeyUsage=clientAuth'],
      ...['-keyout', keyFile, '-out', certificateFile],
    ]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error('The cluster needs the program openssl for one certificate; install it.', { cause: error });
  }
}

/** A kubeconfig as text, for programs and for people. */
export function kubeconfigText(url: string, ca: string, token: string): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'pop', cluster: { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: 'user', user: { token } }],
    contexts: [{ name: 'pop', context: { cluster: 'pop', user: 'user' } }],
    'current-context': 'pop',
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
