// What a client that comes back may be given, and which page of the history a request means. Pure functions.
// Rules: docs/server/history_and_recovery.md of Centrifugo. A gap is never hidden: `recovered` is true only if
// every publication after the client's position is still there and of the same epoch.

export type StreamState = Readonly<{ epoch: string; topOffset: number; firstOffset: number }>
export type Place = Readonly<{ epoch: string; offset: number }>

export type Recovery =
  | Readonly<{ kind: 'recovered'; first: number; count: number }>
  | Readonly<{ kind: 'lost'; why: 'epoch_changed' | 'window_passed' | 'ahead' | 'too_many' }>

/** `countMax`: more missed publications than this are not replayed. */
export function decideRecovery(stream: StreamState, place: Place, countMax: number): Recovery {
  if (place.epoch !== stream.epoch) return { kind: 'lost', why: 'epoch_changed' }
  if (place.offset > stream.topOffset) return { kind: 'lost', why: 'ahead' }
  const first = place.offset + 1
  const count = stream.topOffset - place.offset
  if (count > 0 && first < stream.firstOffset) return { kind: 'lost', why: 'window_passed' }
  if (count > countMax) return { kind: 'lost', why: 'too_many' }
  return { kind: 'recovered', first, count }
}

export type PageRequest = Readonly<{ limit: number; since: Place | undefined; reverse: boolean }>

export type Page =
  /** `first` is the offset to begin at, going up or, reversed, down; `count` 0: only the position is asked for. */
  Readonly<{ kind: 'page'; first: number; count: number }> | Readonly<{ kind: 'unrecoverable_position' }>

/** limit 0: no publications; −1: as many as `countMax`. An epoch that is left out ('') means the present one. */
export function decidePage(stream: StreamState, request: PageRequest, countMax: number): Page {
  const { since, reverse } = request
  if (since !== undefined && since.epoch !== '' && since.epoch !== stream.epoch) {
    return { kind: 'unrecoverable_position' }
  }
  const count = request.limit < 0 ? countMax : Math.min(request.limit, countMax)
  if (reverse) {
    const first = since === undefined ? stream.topOffset : Math.min(since.offset - 1, stream.topOffset)
    return { kind: 'page', first, count }
  }
  // From a position that the window has passed, the page begins at the oldest there is: offsets show the gap.
  const first = since === undefined ? stream.firstOffset : Math.max(since.offset + 1, stream.firstOffset)
  return { kind: 'page', first, count }
}
