// What no page needs, but every page is better with: copy buttons, the browser's time zone,
// forms that cannot be sent twice, and one choice of tab for all groups of tabs.
(() => {

  if (!document.cookie.includes('time_zone=')) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
    if (zone) document.cookie = `time_zone=${zone}; path=/; max-age=31536000; samesite=lax`
  }

  function addCopyButtons (root) {
    for (const box of root.querySelectorAll('[data-copy]')) {
      if (box.querySelector(':scope > button')) continue
      const button = document.createElement('button')
      button.type = 'button'
      button.className = 'button quiet small'
      button.textContent = box.dataset.copy
      button.addEventListener('click', async () => {
        await navigator.clipboard.writeText(box.querySelector('code').textContent.trim())
        button.textContent = '✓ ' + box.dataset.copied
        setTimeout(() => { button.textContent = box.dataset.copy }, 1500)
      })
      box.append(button)
    }
  }

  function offerPrint (root) {
    for (const button of root.querySelectorAll('[data-print]')) {
      button.hidden = false
      button.onclick = () => window.print()
    }
  }

  document.addEventListener('submit', event => {
    const form = event.target
    if (form.method !== 'post' || form.dataset.again !== undefined) return
    if (form.dataset.sent) return event.preventDefault()
    form.dataset.sent = 'yes'
    setTimeout(() => { delete form.dataset.sent }, 3000)
  })
  window.addEventListener('pageshow', () => {
    for (const form of document.forms) delete form.dataset.sent
  })

  // A quick amount goes into the form at once, so that what else was chosen there stays.
  document.addEventListener('click', event => {
    const chip = event.target.closest('[data-amount]')
    const field = chip && document.getElementById('id_amount')
    if (!field || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    field.value = chip.dataset.amount
    for (const other of document.querySelectorAll('[data-amount]')) other.removeAttribute('aria-current')
    chip.setAttribute('aria-current', 'true')
    field.focus()
  })

  document.addEventListener('change', event => {
    const chosen = event.target.dataset.tab
    if (event.target.matches('select[data-submit]')) event.target.form.requestSubmit()
    if (!chosen) return
    localStorage.setItem('tab', chosen)
    for (const input of document.querySelectorAll(`input[data-tab="${CSS.escape(chosen)}"]`)) input.checked = true
  })
  const remembered = localStorage.getItem('tab')
  if (remembered) {
    for (const input of document.querySelectorAll(`input[data-tab="${CSS.escape(remembered)}"]`)) input.checked = true
  }

  // A receipt opens in the drawer; the open dashboard says whether it is connected.
  document.addEventListener('htmx:afterSwap', event => {
    if (event.detail.target.id === 'drawer-body') document.getElementById('drawer').showModal()
  })
  const live = document.getElementById('live-state')
  document.addEventListener('htmx:wsOpen', () => live?.classList.add('on'))
  document.addEventListener('htmx:wsClose', () => live?.classList.remove('on'))

  document.addEventListener('htmx:load', event => {
    addCopyButtons(event.detail.elt)
    offerPrint(event.detail.elt)
  })
  addCopyButtons(document)
  offerPrint(document)
})()
