// What JavaScript itself answers. Reads [[function, [arguments]], …], writes the answers.
// JSON cannot say undefined, NaN, infinities and -0: they are written {"$": name}.
'use strict';
const MARKS = {undefined: undefined, NaN: NaN, Infinity: Infinity, '-Infinity': -Infinity, '-0': -0};
const decode = (value) => {
  if (Array.isArray(value)) return value.map(decode);
  if (value === null || typeof value !== 'object') return value;
  if ('$' in value) return MARKS[value.$];
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, decode(v)]));
};
const encode = (value) => {
  if (value === undefined) return {$: 'undefined'};
  if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))) {
    return {$: Object.is(value, -0) ? '-0' : String(value)};
  }
  if (typeof value === 'string') return value.toWellFormed();
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? {$: 'NaN'} : value.toISOString();
  // JSON holds no undefined: arrays hold null instead, objects leave it out.
  if (Array.isArray(value)) return value.map((item) => (item === undefined ? null : encode(item)));
  if (value === null || typeof value !== 'object') return value;
  const kept = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(kept.map(([k, v]) => [k, encode(v)]));
};

const method = (name) => (self, ...rest) => self[name](...rest);
const named = (names, make) => Object.fromEntries(names.split(' ').map((name) => [name, make(name)]));
const whole = (x) => Number.isFinite(Number(x)) && Number.isInteger(Number(x));
const dated = (input) => new Date(/^[+-]?\d+$/.test(input) ? Number(input) : input);
const setter = (name) => (date, ...rest) => {
  const copy = dated(date);
  copy[name](...rest);
  return copy;
};
const GETTERS = 'Date Day FullYear Hours Milliseconds Minutes Month Seconds';
const SETTERS = 'Date FullYear Hours Milliseconds Minutes Month Seconds';
const prefixed = (prefix, names) => names.split(' ').map((name) => prefix + name).join(' ');

const DOMAINS = {
  array: {
    ...named('concat indexOf join lastIndexOf pop reverse shift slice splice unshift', method),
    get: (a, i, p) => (p === undefined ? a[i || 0] : a[i || 0][p]),
    length: (a) => a.length,
    push: (a, ...rest) => [...a, ...rest],
  },
  bitwise: {
    and: (a, b) => a & b, or: (a, b) => a | b, xor: (a, b) => a ^ b,
    leftShift: (a, b) => a << b, rightShift: (a, b) => a >> b, unsignedRightShift: (a, b) => a >>> b,
  },
  conditional: {
    ternary: (c, a, b) => (c ? a : b), nullish: (a, b) => a ?? b,
    equality: (a, b) => a == b, strict_equality: (a, b) => a === b,
    inequality: (a, b) => a != b, strict_inequality: (a, b) => a !== b,
    greater_than: (a, b) => a > b, less_than: (a, b) => a < b,
    greater_than_or_equal: (a, b) => a >= b, less_than_or_equal: (a, b) => a <= b,
  },
  date: {
    ...named(prefixed('get', GETTERS) + ' ' + prefixed('getUTC', GETTERS), (n) => (d) => dated(d)[n]()),
    ...named(prefixed('set', SETTERS) + ' ' + prefixed('setUTC', SETTERS) + ' setTime', setter),
    ...named('getTime getTimezoneOffset toDateString toISOString toJSON valueOf', (n) => (d) => dated(d)[n]()),
    ...named('toLocaleDateString toLocaleString toLocaleTimeString', (n) => (d, l, o) => dated(d)[n](l, o)),
    fromISOString: dated,
    parse: (text) => Date.parse(text),
    toString: (d) => dated(d).toString(),
    UTC: (...fields) => Date.UTC(...fields),
  },
  json: {stringify: (v, names, space) => JSON.stringify(v, names, space), parse: (text) => JSON.parse(text)},
  logical: {
    and: (...values) => { let last; for (last of values) if (!last) break; return last; },
    or: (...values) => { let last; for (last of values) if (last) break; return last; },
  },
  math: named('abs acos acosh asin asinh atan atan2 atanh cbrt ceil clz32 cos cosh exp expm1 floor fround hypot imul log log10 log1p log2 max min pow round sign sin sinh sqrt tan tanh trunc', (n) => Math[n]),
  number: {
    ...named('isFinite isInteger parseFloat parseInt', (n) => Number[n]),
    ...named('toFixed toExponential toPrecision', method),
    ...named('max min pow round', (n) => Math[n]),
    isNaN: (x) => isNaN(x), isEven: (x) => whole(x) && x % 2 === 0,
    isOdd: (x) => whole(x) && Math.abs(x % 2) === 1,
    gte: (a, b) => a >= b, lte: (a, b) => a <= b, gt: (a, b) => a > b, lt: (a, b) => a < b,
  },
  object: {
    ...named('keys values entries fromEntries assign getOwnPropertyNames getOwnPropertyDescriptor isExtensible isFrozen isSealed', (n) => Object[n]),
    get: (o, name) => (Object.hasOwn(o, name) ? o[name] : undefined),
    set: (o, name, value) => ({...o, [name]: value}),
    hasOwnProperty: (o, name) => Object.hasOwn(o, name),
    propertyIsEnumerable: (o, name) => Object.prototype.propertyIsEnumerable.call(o, name),
  },
  string: {
    ...named('charAt includes indexOf lastIndexOf slice toLowerCase toUpperCase trim trimStart trimEnd padStart padEnd replace search substring startsWith endsWith repeat split', method),
    concat: (...texts) => texts.join(''),
  },
  symbol: {
    null: () => null, undefined: () => undefined, whitespace: () => ' ', object: () => ({}), array: () => [],
    posInfinity: () => Infinity, negInfinity: () => -Infinity, NaN: () => NaN,
  },
  unary: {not: (a) => !a, negative: (a) => -a, bitwise_not: (a) => ~a},
};

const answer = ([name, args]) => {
  const [domain, func] = name.split('.');
  const run = DOMAINS[domain][func];
  try {
    return encode(run(...args.map(decode)));
  } catch (error) {
    return {$: 'throws'};
  }
};
const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const names = Object.entries(DOMAINS).flatMap(([d, table]) => Object.keys(table).map((n) => `${d}.${n}`));
process.stdout.write(JSON.stringify({names, answers: cases.map(answer)}));
