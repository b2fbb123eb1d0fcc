// Arguments of Node for threads that use the database. Any thread.

/** node:sqlite warns at each start that it is experimental; the threads that get this load nothing else that does. */
export const WITHOUT_WARNINGS: string[] = [...process.execArgv, '--disable-warning=ExperimentalWarning']
