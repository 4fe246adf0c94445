// What every driver does: `run` it with four functions. Prints one JSON object.
export const { ROOT, KEY, MODEL } = process.env
export const PROVIDER = process.argv[2]
export const TEXT = 'Say it. [[think: Planning.]] [[say: A short and friendly answer.]]'
export const TOOLS =
  'Look. [[think: Planning.]] [[tool: {"name": "lookup", "args": {"at": "here"}}]] ' +
  '[[tool: {"name": "lookup", "args": {"at": "there"}}]] [[say: Found {result}]]'
export const JSON_OF = 'Who? [[json: {"name": "Ann", "age": 7}]]'
export const lookup = ({ at }) => `42-${at}`

export async function run(cases) {
  const found = {}
  for (const [name, each] of Object.entries(cases)) {
    try {
      found[name] = { said: await each() }
    } catch (error) {
      const why = `${error?.name}: ${error?.message} ${error?.responseBody ?? ''}`
      found[name] = { raised: why.slice(0, 2000) }
    }
  }
  console.log(JSON.stringify(found))
}
