# The media handlers; the registry's "arguments" say which: ["/app/examples/media/transcode.js"].
# From the folder of the clone: docker build -f examples/images/media.Dockerfile -t pop-media .
# What is in the last stage says examples/images/handler-images.ts, too; a test compares the two.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY handler handler
COPY examples examples
RUN npx tsc -p examples/images/tsconfig.json --outDir /built

FROM node:24-bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/examples/images/package.json /app/package.json
COPY --from=build /built/handler /app/handler
COPY --from=build /built/examples/media /app/examples/media
ENV NODE_ENV=production
ENV FFMPEG_PATH=/usr/bin/ffmpeg
ENV FFPROBE_PATH=/usr/bin/ffprobe
WORKDIR /tmp
USER 1000:1000
ENTRYPOINT ["node"]
