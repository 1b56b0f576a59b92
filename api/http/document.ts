/** The OpenAPI document, made from the schemas that validate, and a page that shows it; works without the Internet. */
import { readFile } from 'node:fs/promises';
import { z } from '@hono/zod-openapi';
import manifest from '../../package.json' with { type: 'json' };
import { type Api, type ApiParts, addEndpoint } from './endpoint.ts';
import { notFound } from './problem.ts';

type Document = ReturnType<Api['getOpenAPI31Document']>;

/** Makes the document of what was added to `api`, whose paths begin at `basePath`. */
export function makeDocument(api: Api, basePath: string): Document {
  api.openAPIRegistry.registerComponent('securitySchemes', 'key', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'pop_<env>_<id>_<secret>',
    description: 'An API key.',
  });
  api.openAPIRegistry.registerComponent('securitySchemes', 'launchToken', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'popl_<key>_<launch>_<mac>',
    description: 'The token of one launch, found by its handler in the file that POP_TOKEN_FILE names.',
  });
  return api.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Priority Operation Processing',
      version: manifest.version,
      description:
        'Submit whole workflows (Agendas); a scheduler picks which one goes next; once picked it keeps its place ' +
        'until it ends. Errors are `application/problem+json`; times are epoch milliseconds; lists are paged with ' +
        '`limit` and `cursor`.',
      license: { name: manifest.license },
    },
    servers: [{ url: basePath === '' ? '/' : basePath }],
  });
}

const assets: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css',
  'index.css': 'text/css',
  'swagger-ui-bundle.js': 'text/javascript',
  'favicon-32x32.png': 'image/png',
};

const page = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Priority Operation Processing</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="docs/index.css">
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/initializer.js"></script>
</body>
</html>
`;

// In a file of its own, since the page allows no inline scripts; validatorUrl null keeps the page from calling out.
const initializer = `window.ui = SwaggerUIBundle({
  url: new URL('openapi.json', document.baseURI).href,
  dom_id: '#swagger-ui',
  deepLinking: true,
  validatorUrl: null,
});
`;

const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/** `/openapi.json` and `/docs`, for everybody. */
export function addDocumentRoutes(app: Api, parts: ApiParts, document: () => Document): void {
  addEndpoint(
    app,
    parts,
    {
      method: 'get',
      path: '/openapi.json',
      tag: 'Document',
      summary: 'This document',
      scope: 'public',
      answers: {
        200: {
          description: 'OpenAPI 3.1',
          schema: z.looseObject({ openapi: z.string() }),
          example: { openapi: '3.1.0' },
        },
      },
    },
    ({ c }) => c.json(document()),
  );
  app.get('/docs', (c) =>
    c.html(page, 200, { 'Content-Security-Policy': pagePolicy, 'X-Content-Type-Options': 'nosniff' }),
  );
  app.get('/docs/initializer.js', (c) =>
    c.body(initializer, 200, { 'Content-Type': 'text/javascript; charset=utf-8', 'X-Content-Type-Options': 'nosniff' }),
  );
  app.get('/docs/:file', async (c) => {
    const file = c.req.param('file');
    const contentType = Object.hasOwn(assets, file) ? assets[file] : undefined;
    if (contentType === undefined) throw notFound('file', file);
    const bytes = await readFile(new URL(import.meta.resolve(`swagger-ui-dist/${file}`)));
    return c.body(bytes, 200, {
      'Content-Type': contentType,
      'Cache-Control': 'max-age=3600',
      'X-Content-Type-Options': 'nosniff',
    });
  });
}
