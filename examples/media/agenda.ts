/**
 * The media example: probe → three renditions at once, sized by what the probe found → thumbnail and filmstrip → an HLS
 * package of all.
 */
import { join } from 'node:path';
import type { Agenda } from '../../agenda/types.ts';

/** The choices of a media Agenda. */
export interface MediaAgenda {
  readonly customerId: string;
  /** The video, as the handlers see it. */
  readonly source: string;
  /** Where all results go. */
  readonly folder: string;
  readonly title?: string;
}

const renditions = [
  { name: 'large', scale: 1, bitrate: 1_200_000 },
  { name: 'medium', scale: 0.5, bitrate: 500_000 },
  { name: 'small', scale: 0.25, bitrate: 200_000 },
];

/** Makes the Agenda of the media example, ready to be submitted. */
export function mediaAgenda({ customerId, source, folder, title = 'Media example' }: MediaAgenda): Agenda {
  const large = '@<large.out::/file>';
  return {
    customerId,
    title,
    operations: [
      { name: 'probe', type: 'mediaInfo', payload: { source } },
      ...renditions.map(({ name, scale, bitrate }) => ({
        name,
        type: 'transcode',
        weight: 4,
        payload: {
          source,
          target: join(folder, `${name}.mp4`),
          scale,
          bitrate,
          sourceWidth: '@<probe.out::/width>',
          sourceHeight: '@<probe.out::/height>',
          durationSeconds: '@<probe.out::/durationSeconds>',
        },
      })),
      { name: 'thumbnail', type: 'thumbnail', payload: { source: large, target: join(folder, 'thumbnail.jpg') } },
      { name: 'filmstrip', type: 'filmstrip', payload: { source: large, target: join(folder, 'filmstrip.jpg') } },
      {
        name: 'package',
        type: 'package',
        dependsOn: ['thumbnail', 'filmstrip'],
        payload: {
          folder: join(folder, 'hls'),
          renditions: renditions.map(({ name }) => ({ name, file: `@<${name}.out::/file>` })),
        },
      },
    ],
  };
}
