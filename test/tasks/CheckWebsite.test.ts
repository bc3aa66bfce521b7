import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import CheckWebsite from '../../tasks/CheckWebsite.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { assert, suite } from '../helpers/suite.ts'
import { contextFor } from './context.ts'

const test = suite('CheckWebsite')

test('a website that fails twice and then works is seen to work at the third attempt', async () => {
  let requests = 0
  const url = await serve((_request, response) => {
    requests++
    response.writeHead(requests <= 2 ? 503 : 200).end('page')
  })
  for (const attempt of [1, 2]) {
    const error = await errorOf(CheckWebsite({ url }, contextFor('CheckWebsite', { attempt })))
    assert.match(error.message, /^Cannot load http:\/\/127\.0\.0\.1:\d+\/: it answers 503 after \d+ ms$/)
  }
  const context = contextFor('CheckWebsite', { attempt: 3 })
  const result = (await CheckWebsite({ url }, context)) as { status: number; durationMs: number }
  assert.is(result.status, 200)
  assert.type(result.durationMs, 'number')
  assert.match(context.lines[0] ?? '', /^http:\/\/127\.0\.0\.1:\d+\/ answers 200 after \d+ ms, at attempt 3$/)
})

test('what is in the query stays out of log and errors', async () => {
  const url = await serve((request, response) =>
    response.writeHead(request.url?.startsWith('/status') ? 200 : 404).end()
  )
  const context = contextFor('CheckWebsite')
  await CheckWebsite({ url: `${url}status?token=secret` }, context)
  assert.match(context.lines[0] ?? '', '/status answers 200')
  const error = await errorOf(CheckWebsite({ url: `${url}?token=secret` }, context))
  assert.not.match(`${context.lines} ${error.message}`, 'secret')
})

test('a server that refuses the connection is named with the reason', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const error = await errorOf(CheckWebsite({ url: `http://127.0.0.1:${port}` }, contextFor('CheckWebsite')))
  assert.is(error.message, `Cannot reach http://127.0.0.1:${port}/: connect ECONNREFUSED 127.0.0.1:${port}`)
  assert.instance(error.cause, Error)
})

test('a server that keeps silent is given up after the timeout', async () => {
  const url = await serve(() => {})
  const error = await errorOf(CheckWebsite({ url, timeoutMs: 50 }, contextFor('CheckWebsite')))
  assert.is(error.message, `Cannot reach ${url}: no answer within 50 ms`)
})

test('cancelling ends the wait with the reason of the cancellation', async () => {
  const abort = new AbortController()
  const reason = new Error('The worker is stopping')
  const url = await serve(() => abort.abort(reason))
  const error = await errorOf(CheckWebsite({ url }, contextFor('CheckWebsite', { signal: abort.signal })))
  assert.is(error, reason)
})

for (const url of [undefined, '', 'example.com', 5]) {
  test(`${JSON.stringify(url)} is refused as a URL`, async () => {
    const error = await errorOf(CheckWebsite({ url: url as string }, contextFor('CheckWebsite')))
    assert.is(error.message, `Cannot check the website: ${JSON.stringify(url)} is no URL`)
  })
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onceDone(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

async function errorOf(promise: unknown): Promise<Error> {
  try {
    await promise
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('Cannot see the error: there is none')
}
