/** A text with what a library or a driver may take for a placeholder, a parameter or an escape. */
export const strange = `it's "odd" ? ?? \\? $1 $$ :name ::text @p0 %s \\ \\' {{x}} 🚀`

/** Payloads that arrive as `JSON.parse(JSON.stringify(…))` makes them. */
export const payloads: Readonly<Record<string, object>> = {
  strange: { text: strange, [strange]: [strange] },
  quotes: { text: `' '' " "" \` \`\` ''' '; drop table orders; --`, json: '{"a":"\\"b\\""}', "it's": 1, '"': 2 },
  placeholders: { text: '$1 $2 $10 $1::text $$ $tag$ $tag$', question: '? ?? ??? \\? \\\\? ?| ?& @>', $1: 1, '?': 2 },
  names: { text: `:a :a: ::a :"a" @a \${a} {a} %s %L :1`, ':a': 1, '::a': 2 },
  backslashes: { text: '\\ \\\\ \\n \\u0041 \\" \\\' E\\x41', end: '\\' },
  controls: { text: '\n\r\t\b\f\u0001\u001f\u007f\u0085\u2028\u2029' },
  unicode: { text: 'Zażółć gęślą jaźń, עברית, 漢字, 𝄞🚀👩‍🚀, e\u0301', 'ż🚀': 1 },
  dates: { at: new Date('2030-01-31T08:00:00.123Z'), list: [new Date(0)] },
  nothing: { nothing: null, list: [null, [null]], empty: {}, none: [], text: '', null: 'null' },
  numbers: { large: 9_007_199_254_740_991, small: -1.5e-300, huge: 1.7e308, yes: true, no: false },
  comments: { text: '-- /* */ /*', lines: 'a -- b\nc' }
}
