// fanwire as a server would be that never answers a publication, as some of the peers are.

import { dialect as fanwire } from '../../../load/generator/fanwire.ts'

const { answers: _, connect: __, ...rest } = fanwire

/** Nothing is said before the first publication either. */
export const dialect = rest
