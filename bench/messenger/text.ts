// Texts for measurements: words as unevenly common as in a language, the same in each run.

import { createRandom } from '../../load/random.ts'

const SYLLABLES = 'ka mo ri ten sa lu ber gi no wa fel dor is an ou che pra zu mi el'.split(' ')
const WORDS = 50_000
const SYLLABLES_MAX = 4
const TEXT_WORDS_MIN = 4
const TEXT_WORDS_MAX = 17
const SEED = 20_240_531

export type Texts = Readonly<{
  random: () => number
  /** The most common first; some are there several times. */
  vocabulary: readonly string[]
  word: () => string
  text: () => string
}>

export function createTexts(seed = SEED): Texts {
  const ofVocabulary = createRandom(SEED)
  const vocabulary = Array.from({ length: WORDS }, () => {
    const length = 1 + Math.floor(ofVocabulary() * SYLLABLES_MAX)
    return Array.from({ length }, () => SYLLABLES[Math.floor(ofVocabulary() * SYLLABLES.length)]).join('')
  })
  const random = createRandom(seed)
  // Logarithmic, as Zipf's law has it: each tenfold of ranks is as frequent as the one before.
  const word = () => vocabulary[Math.floor(WORDS ** random()) - 1]!
  const text = () => {
    const length = TEXT_WORDS_MIN + Math.floor(random() * (TEXT_WORDS_MAX - TEXT_WORDS_MIN + 1))
    return Array.from({ length }, word).join(' ')
  }
  return { random, vocabulary, word, text }
}
