// Google's own SDK for JavaScript.
import { GoogleGenAI } from '@google/genai'
import { JSON_OF, KEY, MODEL, ROOT, TEXT, TOOLS, lookup, run } from './tasks.mjs'

const client = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: ROOT } })
const ask = (contents, config = {}) =>
  client.models.generateContent({ model: MODEL, contents, config })
const AT = { type: 'OBJECT', properties: { at: { type: 'STRING' } }, required: ['at'] }
const PERSON = {
  type: 'OBJECT',
  properties: { name: { type: 'STRING' }, age: { type: 'INTEGER' } },
  required: ['name', 'age']
}

await run({
  text: async () => {
    const reply = await ask(TEXT)
    if (!(reply.usageMetadata.promptTokenCount > 0)) throw new Error('no usage')
    return reply.text
  },
  streamed: async () => {
    const stream = await client.models.generateContentStream({ model: MODEL, contents: TEXT })
    const pieces = []
    for await (const chunk of stream) pieces.push(chunk.text ?? '')
    if (pieces.length < 2) throw new Error(`in ${pieces.length} pieces`)
    return pieces.join('')
  },
  tools: async () => {
    const declared = { name: 'lookup', description: 'Looks up what is there.', parameters: AT }
    const config = { tools: [{ functionDeclarations: [declared] }] }
    const chat = client.chats.create({ model: MODEL, config })
    let reply = await chat.sendMessage({ message: TOOLS })
    for (let turn = 0; turn < 4 && reply.functionCalls?.length; turn++) {
      const message = reply.functionCalls.map(({ id, name, args }) => ({
        functionResponse: { id, name, response: { output: lookup(args) } }
      }))
      reply = await chat.sendMessage({ message })
    }
    return reply.text
  },
  structured: async () => {
    const config = { responseMimeType: 'application/json', responseSchema: PERSON }
    return JSON.parse((await ask(JSON_OF, config)).text)
  }
})
