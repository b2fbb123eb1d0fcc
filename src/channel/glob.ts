// Patterns of channel names, as in the globs of Centrifugo's `channels`. Any thread; pure.
// Invariant: the time is bounded by the product of the two lengths; a regular expression made of the pattern would
// try all ways to cut a name at its stars.

/** `*` stands for any run of characters, `?` for one code unit; '' matches all names. */
export function globMatcher(pattern: string): (name: string) => boolean {
  return pattern === '' ? () => true : name => matches(pattern, name)
}

function matches(pattern: string, name: string): boolean {
  let at = 0
  let inPattern = 0
  // The last star, and where in the name what follows it was tried: only this star ever has to be tried again.
  let star = -1
  let tried = 0
  while (at < name.length) {
    const wanted = pattern[inPattern]
    if (wanted === '*') {
      star = inPattern++
      tried = at
    } else if (wanted === '?' || wanted === name[at]) {
      inPattern++
      at++
    } else if (star >= 0) {
      inPattern = star + 1
      at = ++tried
    } else {
      return false
    }
  }
  while (pattern[inPattern] === '*') inPattern++
  return inPattern === pattern.length
}
