// The playground: speaks Chat Completions to /v1 with the key in the page, and shows the stream.
(() => {
  const play = document.getElementById('play')
  const $ = id => document.getElementById(id)
  const base = play.dataset.base
  let messages = []
  let running = null

  const TOOL = {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'The weather in a city right now',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
    }
  }

  function request (conversation) {
    const system = $('play-system').value.trim()
    const body = {
      model: $('play-model').value,
      messages: system ? [{ role: 'system', content: system }, ...conversation] : conversation,
      max_completion_tokens: Number($('play-most').value) || 1024,
      stream: true,
      stream_options: { include_usage: true }
    }
    if ($('play-think').checked) body.reasoning_effort = 'high'
    if ($('play-tool').checked) body.tools = [TOOL]
    return body
  }

  // -- Showing ----------------------------------------------------------------------------------

  function element (tag, className, text) {
    const made = document.createElement(tag)
    if (className) made.className = className
    if (text !== undefined) made.textContent = text
    return made
  }

  function turn (who) {
    if (!messages.length) $('talk').replaceChildren()
    const box = element('div', 'turn')
    box.append(element('h3', '', who))
    $('talk').append(box)
    return box
  }

  function aside (box, title, className) {
    const details = element('details', className)
    details.append(element('summary', '', title), element('div'))
    box.append(details)
    return details.lastChild
  }

  function showCode () {
    const typed = $('text').value.trim()
    const conversation = typed || !messages.length ? [...messages, { role: 'user', content: typed || 'Hello!' }] : messages
    const body = request(conversation)
    delete body.stream
    delete body.stream_options
    const json = JSON.stringify(body, null, 2)
    $('code-curl').textContent = `curl ${base}/v1/chat/completions \\\n  -H "Authorization: Bearer $HONTONI_API_KEY" \\\n  -H "Content-Type: application/json" \\\n  -d '${json.replaceAll("'", "'\\''")}'`
    const python = json.replace(/\b(true|false|null)\b(?=[,\n])/g, word => ({ true: 'True', false: 'False', null: 'None' })[word])
    $('code-python').textContent = `import os\nfrom openai import OpenAI\n\nclient = OpenAI(base_url="${base}/v1", api_key=os.environ["HONTONI_API_KEY"])\nanswer = client.chat.completions.create(**${python})\nprint(answer.choices[0].message.content)`
    $('code-node').textContent = `import OpenAI from 'openai'\n\nconst client = new OpenAI({ baseURL: '${base}/v1', apiKey: process.env.HONTONI_API_KEY })\nconst answer = await client.chat.completions.create(${json})\nconsole.log(answer.choices[0].message.content)`
  }

  // -- Asking -----------------------------------------------------------------------------------

  async function * events (response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ''
    while (true) {
      const { done, value } = await reader.read()
      if (done) return
      const lines = (rest + value).split('\n')
      rest = lines.pop()
      for (const line of lines) {
        if (line.startsWith('data: ') && line !== 'data: [DONE]') yield JSON.parse(line.slice(6))
      }
    }
  }

  async function ask () {
    const box = turn($('play-model').selectedOptions[0].textContent)
    const said = element('div', 'said')
    let thought, answer = ''
    const calls = []
    running = new AbortController()
    const response = await fetch('/v1/chat/completions', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: 'Bearer ' + $('play-key').value.trim() },
      body: JSON.stringify(request(messages)),
      signal: running.signal
    })
    if (!response.ok) throw new Error((await response.json()).error.message)
    box.append(said)
    for await (const event of events(response)) {
      if (event.error) throw new Error(event.error.message)
      const delta = event.choices?.[0]?.delta
      const reasoning = delta?.reasoning_content ?? delta?.reasoning
      if (reasoning) {
        if (!thought) {
          thought = aside(box, play.dataset.thinking, 'thought')
          box.insertBefore(thought.parentElement, said)
        }
        thought.textContent += reasoning
      }
      if (delta?.content) said.textContent = (answer += delta.content)
      for (const part of delta?.tool_calls ?? []) {
        const call = calls[part.index] ??= { name: '', shown: aside(box, play.dataset.tool, 'call') }
        call.name += part.function?.name ?? ''
        call.shown.previousSibling.textContent = `${play.dataset.tool}: ${call.name}`
        call.shown.textContent += part.function?.arguments ?? ''
      }
      if (event.usage) usage(box, event.usage)
    }
    messages.push({ role: 'assistant', content: answer || '…' })
    cost(box, response.headers.get('x-request-id')).catch(() => {})
  }

  function usage (box, used) {
    const line = element('p', 'cost', `${used.prompt_tokens} → ${used.completion_tokens}`)
    box.append(line)
  }

  // The receipt is written a moment after the answer ends; who talks on does not wait for it.
  async function cost (box, id) {
    const link = element('a', '', '↗')
    for (let attempt = 0; attempt < 60; attempt++) {
      const receipt = await fetch('/usage/' + id, { headers: { 'HX-Request': 'true' } })
      if (receipt.status === 200) {
        const page = new DOMParser().parseFromString(await receipt.text(), 'text/html')
        const charged = [...page.querySelectorAll('tfoot strong')].pop()
        link.textContent = charged.textContent
        link.href = '/usage/' + id
        const line = box.querySelector('.cost') ?? box.appendChild(element('p', 'cost'))
        line.append(' · ', link)
        return
      }
      await new Promise(resolve => setTimeout(resolve, attempt < 8 ? 250 : 1000))
    }
  }

  async function send (event) {
    if (event.submitter?.name === 'make') return // a new key, from the server
    event.preventDefault()
    const text = $('text').value.trim()
    if (!text || running) return
    const mine = turn(play.dataset.you)
    mine.append(element('div', 'said', text))
    messages.push({ role: 'user', content: text })
    $('text').value = ''
    $('send').disabled = true
    $('stop').hidden = false
    try {
      await ask()
    } catch (error) {
      const words = error.name === 'AbortError' ? play.dataset.stopped : error.message || play.dataset.failed
      $('talk').append(element('p', 'message error', words))
      if (messages.at(-1).role === 'user') {
        messages.pop()
        $('text').value = text
      }
    }
    running = null
    $('send').disabled = false
    $('stop').hidden = true
    showCode()
    $('text').focus()
  }

  $('say').addEventListener('submit', send)
  $('stop').addEventListener('click', () => running?.abort())
  $('clear').addEventListener('click', () => {
    running?.abort()
    messages = []
    $('talk').replaceChildren()
    showCode()
  })
  $('text').addEventListener('keydown', event => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) send(event)
  })
  for (const field of play.querySelectorAll('input, select, textarea')) field.addEventListener('input', showCode)
  showCode()
})()
