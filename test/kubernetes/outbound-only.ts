/**
 * A network namespace behind a firewall, as a pool at a customer's site is: out of it a few ports can be reached, and
 * nothing can come in. One process holds it; when that ends, the kernel takes it away. Needs root on Linux.
 */
import { execFile } from 'node:child_process';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { GuardedProcess } from '../../machine/guarded-process.ts';
import { until } from './shared-cluster.ts';

const run = promisify(execFile);

/** A firewall with servers behind it that may be reached. */
export interface OutboundOnly extends AsyncDisposable {
  /** A command that runs another inside. */
  readonly around: readonly string[];
  /** Where those inside reach the servers: by name, `host:port`. */
  readonly reached: Readonly<Record<string, string>>;
  /** Address of the inside, for those who try to come in. */
  readonly address: string;
  /** A server of this machine that answers everybody but those inside, whom the firewall stops. */
  readonly forbidden: string;
  /** Runs a program inside; answers its output. */
  inside(program: string, ...flags: string[]): Promise<string>;
}

/** Makes it; `servers` are the ports of this machine's loopback that may be reached, by name. */
export async function outboundOnly(servers: Readonly<Record<string, string>>): Promise<OutboundOnly> {
  const holder = new GuardedProcess({ command: ['unshare', '--net', 'sleep', 'infinity'], graceSeconds: 0 });
  const pid = String(holder.pid);
  const around = ['nsenter', '--target', pid, '--net', '--'];
  const inside = async (program: string, ...flags: string[]) =>
    (await run('nsenter', [...around.slice(1), program, ...flags])).stdout;
  const open: Server[] = [];
  try {
    await until('the namespace', async () => {
      const [own, its] = await Promise.all(['self', pid].map((each) => run('readlink', [`/proc/${each}/ns/net`])));
      return own?.stdout !== its?.stdout || undefined;
    });
    const block = process.pid % 250;
    const [host, address] = [`10.214.${block}.1`, `10.214.${block}.2`];
    const link = `pop-out${block}`;
    await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pid]);
    await run('ip', ['address', 'add', `${host}/30`, 'dev', link]);
    await run('ip', ['link', 'set', link, 'up']);
    await inside('ip', 'address', 'add', `${address}/30`, 'dev', 'eth0');
    await inside('ip', 'link', 'set', 'eth0', 'up');
    await inside('ip', 'link', 'set', 'lo', 'up');
    const reached: Record<string, string> = {};
    for (const chain of ['INPUT', 'OUTPUT', 'FORWARD']) await inside('iptables', '-P', chain, 'DROP');
    await inside('iptables', '-A', 'INPUT', '-i', 'lo', '-j', 'ACCEPT');
    await inside('iptables', '-A', 'OUTPUT', '-o', 'lo', '-j', 'ACCEPT');
    for (const [name, target] of Object.entries(servers)) {
      const port = await forward(host, target, open);
      await inside('iptables', '-A', 'OUTPUT', '-p', 'tcp', '-d', host, '--dport', port, '-j', 'ACCEPT');
      // Answers only: nothing that begins a connection.
      const answers = ['-p', 'tcp', '-s', host, '--sport', port, '!', '--syn', '-j', 'ACCEPT'];
      await inside('iptables', '-A', 'INPUT', ...answers);
      reached[name] = `${host}:${port}`;
    }
    const forbidden = `${host}:${await forward(host, Object.values(servers)[0] ?? '', open)}`;
    return { around, reached, address, forbidden, inside, [Symbol.asyncDispose]: () => end(holder, open) };
  } catch (error) {
    await end(holder, open);
    throw error;
  }
}

/** Listens on a free port of the address, and passes on to `host:port`; answers the port. */
async function forward(address: string, target: string, open: Server[]): Promise<string> {
  const [host = '', port = ''] = target.split(':');
  const server = createServer((socket) => {
    const onward = connect(Number(port), host);
    pipeline(socket, onward, socket).catch(() => socket.destroy());
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return String((server.address() as AddressInfo).port);
}

async function end(holder: GuardedProcess, open: readonly Server[]): Promise<void> {
  for (const server of open) server.close();
  holder.kill('SIGKILL');
  await holder.ended;
}

/** Whether somebody here takes a connection there within two seconds. */
export async function isReached(hostPort: string): Promise<boolean> {
  const [host = '', port = ''] = hostPort.split(':');
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(2_000, () => settle(false));
    socket.on('connect', () => settle(true)).on('error', () => settle(false));
  });
}
