# The sample handler. From the folder of the clone: docker build -f examples/images/sample.Dockerfile -t pop-sample .
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
COPY --from=build /src/examples/images/package.json /app/package.json
COPY --from=build /built/handler /app/handler
ENV NODE_ENV=production
WORKDIR /tmp
USER 1000:1000
ENTRYPOINT ["node", "/app/handler/sample.js"]
