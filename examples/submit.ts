// node examples/submit.ts, with POP_API_KEY set: submits an Agenda and waits for its end.
const { POP_URL = 'http://127.0.0.1:8080/v1', POP_API_KEY = '' } = process.env;
const ask = async (method: string, path: string, body?: unknown) => {
  const headers = { authorization: `Bearer ${POP_API_KEY}`, 'content-type': 'application/json' };
  const response = await fetch(POP_URL + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  if (!response.ok) throw new Error(await response.text());
  return JSON.parse(await response.text());
};
const operations = [
  { name: 'greet', type: 'sample', payload: { resultPayload: { greeting: 'Hello' } } },
  { name: 'tell', type: 'logMessages', payload: { logMessages: ['@<greet.out::/greeting> from POP'] } },
];
const agenda = await ask('POST', '/agenda', { customerId: 'demo', title: 'From TypeScript', operations });
const progress = await ask('GET', `/progress/agenda/${agenda.progressId}?wait=60s`);
console.log(agenda.id, progress.processingStateMessage);
