// A URL as it may be shown and kept: a user's name and password, and the query, may be secrets. Pure. Any thread.

/** Also of what only begins like one; what is left out shows as `…`. */
export function shownUrl(url: string): string {
  return url.replace(/^([a-z]+:\/\/)[^/?#]*@/i, '$1…@').replace(/[?#].*$/s, '?…')
}
