import { inspect } from 'node:util'
import { createRedactor } from '../../src/redact/redactor.ts'
import { hideInText } from '../../src/redact/text.ts'
import { readThrown, show } from '../../src/text/thrown.ts'
import { assert, suite } from '../helpers/suite.ts'

const names = suite('a name')
const values = suite('a value')
const texts = suite('a text')

const { stringify, copy } = createRedactor(['card', 'socialNumber'])
const HIDDEN = '[redacted]'

const SECRET =
  `password newPassword db_password DB_PASSWORD user.password password2 passwordHash passwd userPwd pass smtp_pass
  passphrase pass_phrase secret clientSecret aws_secret_access_key token apiToken csrftoken tokens apiKey api_key APIKey
  X-API-Key apikey privateKey private-key accessKey authorization Proxy-Authorization cookie set-cookie credentials jwt
  bearerToken otp cvv card cardNumber credit_card cards socialNumber social_number socialnumber`.split(/\s+/)
const OPEN = 'compass bypass passport passenger secretary tokenizer keyboard monkey key publicKey author name discard'

names('hides its value if one of its words is secret', () => {
  for (const name of SECRET) assert.is(written({ [name]: 'value' }), JSON.stringify({ [name]: HIDDEN }))
  for (const name of OPEN.split(' ')) assert.is(written({ [name]: 'value' }), JSON.stringify({ [name]: 'value' }))
})

names('hides no counts, and not whether there is a secret', () => {
  const counts = { maxTokens: 5, passwordLength: 8, tokens: 7, hasPassword: true, password: null }
  assert.is(written(counts), JSON.stringify(counts))
  assert.is(
    written({ password: 1234, token: 5, card: 4111, isCard: true }),
    JSON.stringify({ password: HIDDEN, token: HIDDEN, card: HIDDEN, isCard: HIDDEN })
  )
})

values('are hidden at any depth, and in pairs of name and value', () => {
  const given = {
    list: [[{ user: { password: 'x', name: 'Ada' } }]],
    headers: [
      ['Authorization', 'Bearer x'],
      ['Accept', '*']
    ],
    rawHeaders: ['Host', 'h', 'Cookie', 'a=b'],
    har: [{ name: 'X-Api-Key', value: 'x' }],
    url: 'postgres://ada:p@ss@host/db',
    token: { a: 1 }
  }
  assert.equal(JSON.parse(written(given)), {
    list: [[{ user: { password: HIDDEN, name: 'Ada' } }]],
    headers: [
      ['Authorization', HIDDEN],
      ['Accept', '*']
    ],
    rawHeaders: ['Host', 'h', 'Cookie', HIDDEN],
    har: [{ name: 'X-Api-Key', value: HIDDEN }],
    url: `postgres://ada:${HIDDEN}@host/db`,
    token: HIDDEN
  })
})

values('that are shown are copied without secrets: errors, maps, sets and what refers back to itself', () => {
  const error = Object.assign(new Error('It broke at redis://:word@host'), {
    config: { headers: { Authorization: 'Bearer word' }, auth: { username: 'ada', password: 'word' } },
    map: new Map([['token', 'word']]),
    set: new Set([{ secret: 'word' }]),
    self: {}
  })
  error.self = error
  error.cause = Object.assign(new Error('password=word'), { cardNumber: 'word' })
  const shown = inspect(copy(error), { depth: 9 })
  assert.not.match(shown, 'word@')
  assert.not.match(shown.replaceAll('password', ''), 'word')
  assert.match(shown, /at .*redactor\.test\.ts/)
  assert.ok(copy(error) instanceof Error)
  const open = { list: [1, { name: 'Ada' }], at: new Date(0) }
  assert.is(copy(open), open)
})

texts('loses the passwords of URLs and the values of secret names', () => {
  for (const [given, reads] of [
    ['at postgres://u:pa@ss@host:5432/db now', `at postgres://u:${HIDDEN}@host:5432/db now`],
    ['at redis://:word@host:6379', `at redis://:${HIDDEN}@host:6379`],
    ['at http://host:80/path?email=a@b.c', 'at http://host:80/path?email=a@b.c'],
    ['host=h password=word user=u', `host=h password=${HIDDEN} user=u`],
    ['password: hunter2 api_key: zzz9', `password: ${HIDDEN} api_key: ${HIDDEN}`],
    ['password: must not be empty', 'password: must not be empty'],
    ['used tokens: 1500, of them', 'used tokens: 1500, of them'],
    ['{"apiKey":"wo\\"rd","a":1}', `{"apiKey":${HIDDEN},"a":1}`],
    ['Key (token)=(word) already exists.', `Key (token)=${HIDDEN} already exists.`],
    ['GET /?access_token=word&b=2', `GET /?access_token=${HIDDEN}&b=2`],
    ['authorization: Bearer word', `authorization: Bearer ${HIDDEN}`],
    ['Cookie: a=word; b=word', `Cookie: ${HIDDEN}`],
    ['Unexpected token: punc (})', 'Unexpected token: punc (})'],
    ['password authentication failed for user "ada"', 'password authentication failed for user "ada"']
  ] as const) {
    assert.is(hideInText(given), reads)
  }
})

texts('of what was thrown has no secrets, be it an error or not', () => {
  assert.equal(readThrown({ password: 'word', code: 5 }, 1_000), { message: `{ password: '${HIDDEN}', code: 5 }` })
  assert.is(readThrown(new Error('no postgres://u:word@h/db'), 1_000).message, `no postgres://u:${HIDDEN}@h/db`)
  assert.is(show([{ card: 'word' }], createRedactor(['card'])), `[ { card: '${HIDDEN}' } ]`)
})

function written(value: unknown): string {
  return stringify(value) ?? ''
}
