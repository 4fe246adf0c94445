// The vendors' Node SDKs, driven over JSON lines: one request a line on stdin, its answers on
// stdout. tests/conformance/sdks.py holds the other end.
//
//   {id, verb: "whole" | "streamed", dialect, url, key, fields}  ->  {id, reply}
//   {id, verb: "events", ...}  ->  {id, event} ..., {id, end: true}
//   {id, verb: "close"}            closes the stream of that id
//
// In place of an answer: {id, error} where the SDK tells of an error, {id, bug} where it breaks.

import { createInterface } from 'node:readline'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'

const PATIENCE = { maxRetries: 0, timeout: 30_000 }
const clients = new Map()
const streams = new Map()

function client(Sdk, baseURL, apiKey) {
  const name = [Sdk.name, baseURL, apiKey].join(' ')
  if (!clients.has(name)) clients.set(name, new Sdk({ baseURL, apiKey, ...PATIENCE }))
  return clients.get(name)
}

const openai = ({ url, key }) => client(OpenAI, `${url}/v1`, key)
const anthropic = ({ url, key }) => client(Anthropic, url, key)

const DIALECTS = {
  openai_chat: {
    create: (ask, fields) => openai(ask).chat.completions.create(fields),
    streamed: (ask) => {
      const options = { stream_options: { include_usage: true } }
      return openai(ask).chat.completions.stream({ ...ask.fields, ...options }).finalChatCompletion()
    },
  },
  openai_responses: {
    create: (ask, fields) => openai(ask).responses.create(fields),
    streamed: async (ask) => {
      const stream = openai(ask).responses.stream(ask.fields)
      let expected = 0
      for await (const { sequence_number: number } of stream) {
        if (number !== expected++) throw new Error(`event ${number} where ${expected - 1} is next`)
      }
      return stream.finalResponse()
    },
  },
  anthropic_messages: {
    create: (ask, fields) => anthropic(ask).messages.create(fields),
    streamed: (ask) => anthropic(ask).messages.stream(ask.fields).finalMessage(),
  },
}

const tell = (message) => process.stdout.write(JSON.stringify(message) + '\n')

async function events(ask) {
  const stream = await DIALECTS[ask.dialect].create(ask, { ...ask.fields, stream: true })
  streams.set(ask.id, stream)
  for await (const event of stream) tell({ id: ask.id, event })
  streams.delete(ask.id)
  tell({ id: ask.id, end: true })
}

async function answer(ask) {
  const dialect = DIALECTS[ask.dialect]
  if (ask.verb === 'events') return events(ask)
  const whole = () => dialect.create(ask, ask.fields)
  tell({ id: ask.id, reply: await (ask.verb === 'streamed' ? dialect.streamed(ask) : whole()) })
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const ask = JSON.parse(line)
  if (ask.verb === 'close') return streams.get(ask.id)?.controller.abort()
  answer(ask).catch((error) => {
    const told = error instanceof OpenAI.APIError || error instanceof Anthropic.APIError
    tell({ id: ask.id, [told ? 'error' : 'bug']: error.stack })
  })
})
