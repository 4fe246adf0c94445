// The Vercel AI SDK, by the provider of each vendor's API.
import { createAnthropic } from '@ai-sdk/anthropic'
import { createGoogleGenerativeAI } from '@ai-sdk/google'
import { createOpenAI } from '@ai-sdk/openai'
import { generateObject, generateText, stepCountIs, streamText, tool } from 'ai'
import { z } from 'zod'
import { JSON_OF, KEY, MODEL, PROVIDER, ROOT, TEXT, TOOLS, lookup, run } from './tasks.mjs'

const providers = {
  'openai-responses': () => createOpenAI({ baseURL: `${ROOT}/v1`, apiKey: KEY })(MODEL),
  openai: () => createOpenAI({ baseURL: `${ROOT}/v1`, apiKey: KEY }).chat(MODEL),
  anthropic: () => createAnthropic({ baseURL: `${ROOT}/v1`, apiKey: KEY })(MODEL),
  google: () => createGoogleGenerativeAI({ baseURL: `${ROOT}/v1beta`, apiKey: KEY })(MODEL)
}
const model = providers[PROVIDER]()
const once = { model, maxRetries: 0 }

await run({
  text: async () => {
    const { text, usage } = await generateText({ ...once, prompt: TEXT })
    if (!(usage.inputTokens > 0 && usage.outputTokens > 0)) throw new Error('no usage')
    return text
  },
  streamed: async () => {
    const pieces = []
    const stream = streamText({ ...once, prompt: TEXT, onError: () => {} })
    for await (const piece of stream.textStream) pieces.push(piece)
    if (pieces.length < 2) throw new Error(`in ${pieces.length} pieces`)
    return pieces.join('')
  },
  tools: async () => {
    const tools = {
      lookup: tool({
        description: 'Looks up what is there.',
        inputSchema: z.object({ at: z.string() }),
        execute: lookup
      })
    }
    const { text } = await generateText({ ...once, prompt: TOOLS, tools, stopWhen: stepCountIs(4) })
    return text
  },
  structured: async () => {
    const schema = z.object({ name: z.string(), age: z.number().int() })
    return (await generateObject({ ...once, prompt: JSON_OF, schema })).object
  }
})
