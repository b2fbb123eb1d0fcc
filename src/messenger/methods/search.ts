// Placeholder until its owner writes it.
import type { Method } from '../method.ts'

export const searchMethods: readonly Method[] = []
