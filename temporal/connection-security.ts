/**
 * How a connection to Temporal is kept from others: TLS, a certificate of ours, a key. Files are read once, when a
 * program starts: after they were renewed it has to be started again.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { TLSConfig } from '@temporalio/client';
import { flag, readAll, type SettingFault, secret, WrongSettingError } from '../process/environment.ts';

/** What every connection of a process is made with; neither is there on a trusted network. */
export interface ConnectionSecurity {
  readonly tls?: TLSConfig;
  readonly apiKey?: string;
}

/**
 * `TEMPORAL_TLS` and what begins with it, and `TEMPORAL_API_KEY` or `TEMPORAL_API_KEY_FILE`. Each of them turns TLS on;
 * `TEMPORAL_TLS=false` keeps it off, and then a key goes to this machine only.
 */
export function connectionSecurity(environment: NodeJS.ProcessEnv, address: string): ConnectionSecurity {
  const { wanted, ca, certificate, key, apiKey } = readAll({
    wanted: () => flag('TEMPORAL_TLS', environment),
    ca: () => fileOf(environment, 'TEMPORAL_TLS_CA'),
    certificate: () => fileOf(environment, 'TEMPORAL_TLS_CERT'),
    key: () => fileOf(environment, 'TEMPORAL_TLS_KEY'),
    apiKey: () => secret('TEMPORAL_API_KEY', environment),
  });
  const serverName = environment.TEMPORAL_TLS_SERVER_NAME || undefined;
  const given = { TEMPORAL_TLS_CA: ca, TEMPORAL_TLS_CERT: certificate, TEMPORAL_TLS_KEY: key };
  const named = { ...given, TEMPORAL_TLS_SERVER_NAME: serverName };
  const faults: SettingFault[] = [];
  if (wanted === false)
    for (const [setting, value] of Object.entries(named))
      if (value !== undefined) faults.push({ setting, problem: 'is set, and TEMPORAL_TLS is false' });
  if ((certificate === undefined) !== (key === undefined)) {
    const missing = certificate === undefined ? 'TEMPORAL_TLS_CERT' : 'TEMPORAL_TLS_KEY';
    faults.push({ setting: missing, problem: 'is missing: a certificate and its key go together' });
  }
  const isOn = wanted ?? (apiKey !== undefined || Object.values(named).some((value) => value !== undefined));
  if (apiKey !== undefined && !isOn && !isThisMachine(address))
    faults.push({
      setting: 'TEMPORAL_TLS',
      problem: `is false, and TEMPORAL_API_KEY would go to ${address} for everybody on the way to read`,
    });
  if (faults.length > 0) throw new WrongSettingError(...faults);
  return {
    ...(isOn
      ? {
          tls: {
            ...(ca === undefined ? {} : { serverRootCACertificate: ca }),
            ...(certificate === undefined || key === undefined ? {} : { clientCertPair: { crt: certificate, key } }),
            ...(serverName === undefined ? {} : { serverNameOverride: serverName }),
          },
        }
      : {}),
    ...(apiKey === undefined ? {} : { apiKey }),
  };
}

function fileOf(environment: NodeJS.ProcessEnv, setting: string): Buffer | undefined {
  const file = environment[setting];
  if (file === undefined || file === '') return undefined;
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    throw new WrongSettingError({ setting, problem: `names a file that cannot be read: ${(error as Error).message}` });
  }
  if (!content.includes('-----BEGIN'))
    throw new WrongSettingError({ setting, problem: `names a file that is not in PEM format: ${file}` });
  return content;
}

/** Whether what is sent there leaves this machine: names are asked of a server that may say anything, but for one. */
function isThisMachine(address: string): boolean {
  const host = address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
