/**
 * What ffmpeg may read: a file below `readRoots`, or a URL where `MEDIA_PROTOCOLS` of the registry entry's `envVars`
 * allows it, and only in formats that are one file each. A playlist or list would have ffmpeg open whatever it names,
 * past the roots, and show it.
 */
import { fail, type JsonObject, openSource } from '../../handler/index.ts';
import { textField } from './input.ts';

/** What follows `-i`, and by which protocols. */
export interface Input {
  /** As the payload names it. */
  readonly asked: string;
  /** An absolute path, or a URL. */
  readonly path: string;
  /** For `-protocol_whitelist`. A URL cannot lead to a file, nor https to http. */
  readonly protocols: string;
}

/** What a protocol that may be allowed is made of. */
const transports: ReadonlyMap<string, string> = new Map([
  ['http', 'http,tcp'],
  ['https', 'https,tls,tcp'],
]);

/** ffmpeg's names of demuxers: each reads the one file that it is given. */
const formats =
  `mov,matroska,avi,flv,asf,mpeg,mpegts,mpegvideo,m4v,h264,hevc,ivf,mxf,gxf,dv,ogg,nut,yuv4mpegpipe,mjpeg,gif,apng,
wav,w64,aiff,mp3,aac,ac3,eac3,flac,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,gif_pipe`.replaceAll('\n', '');

/** Demuxers that open what their content or their name's pattern says; some take no file at all. */
const neverReadable = new Set(
  (
    'hls,applehttp,concat,dash,webm_dash_manifest,imf,image2,sdp,rtsp,rtp,sap,vobsub,lavfi,' +
    'svg_pipe,avisynth,vapoursynth,redir'
  ).split(','),
);

/** The field as an input: an open file, or an allowed URL. Fails when the registry allows neither. */
export function sourceField(fields: JsonObject, name: string): Input {
  const asked = textField(fields, name);
  const allowed = allowedProtocols(process.env);
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(asked)?.[1]?.toLowerCase();
  // Stays open: a handler ends with its process.
  if (scheme === undefined) return { asked, path: openSource(asked, name).path, protocols: 'file' };
  const protocols = allowed.includes(scheme) ? transports.get(scheme) : undefined;
  if (protocols !== undefined) return { asked, path: asked, protocols };
  fail(
    `"${name}" is "${asked.slice(0, 200)}": this pool does not read ${scheme}: URLs, ` +
      'for "MEDIA_PROTOCOLS" in "envVars" of the registry entry does not name it.',
    { code: 'pathNotAllowed' },
  );
}

/** For `-format_whitelist`: ours, and what `MEDIA_FORMATS` adds. Fails when that names one that opens other files. */
export function readableFormats({ MEDIA_FORMATS }: NodeJS.ProcessEnv): string {
  const added = wordsOf(MEDIA_FORMATS);
  const wrong = added.find((word) => !/^[a-z0-9_]+$/.test(word) || neverReadable.has(word));
  if (wrong !== undefined) {
    fail(
      `"MEDIA_FORMATS" of the registry entry names "${wrong}": ` +
        'it is no name of a format, or one that opens other files.',
      {
        code: 'invalidSetting',
      },
    );
  }
  return [formats, ...added].join(',');
}

function allowedProtocols({ MEDIA_PROTOCOLS }: NodeJS.ProcessEnv): string[] {
  const words = wordsOf(MEDIA_PROTOCOLS);
  const wrong = words.find((word) => !transports.has(word));
  if (wrong === undefined) return words;
  fail(
    `"MEDIA_PROTOCOLS" of the registry entry names "${wrong}"; it may name ${[...transports.keys()].join(' and ')}.`,
    {
      code: 'invalidSetting',
    },
  );
}

function wordsOf(list: string | undefined): string[] {
  return (list ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
