# All programs of POP: the command `pop`. From the folder of the clone: docker build -t pop:dev .
# What is in the last stage says scripts/pop-image.ts, too; a test compares the two.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
COPY scripts/mend-driver.mjs scripts/
RUN npm ci --ignore-scripts && node scripts/mend-driver.mjs
COPY . .
# JavaScript, the bundle of the workflows and the SDK: nothing is compiled where it runs.
RUN node scripts/build-package.mjs && node scripts/restore-manifest.mjs

FROM node:24-bookworm-slim AS packages
WORKDIR /src
COPY package.json package-lock.json ./
COPY scripts/mend-driver.mjs scripts/
RUN npm ci --omit=dev --omit=optional --ignore-scripts && node scripts/mend-driver.mjs

FROM node:24-bookworm-slim
COPY --from=packages /src/node_modules /app/node_modules
COPY --from=build /src/dist /app/dist
COPY --from=build /src/k8s/deploy/pop /usr/bin/pop
ENV NODE_ENV=production
ENV HOME=/tmp
WORKDIR /tmp
USER 1000:1000
ENTRYPOINT ["pop"]
