/**
 * The name of a task's lane begins with this. A lane is a queue of the engine for jobs with limits: those of one task, and of
 * one key if a limit has keys. The name of the task follows, and then the key. Queues of users cannot have such a name.
 */
export const LANE = 'kretes:limit '

/** The flag of a job with limits. The indexes of other queues leave out such jobs. */
export const LIMITED = 'kretes:limited'

/**
 * The flag of a job of a queue that runs several jobs at the same time begins with this. Their number follows. Such a queue is a
 * lane with the name that the user has given it.
 */
export const SLOTS = 'kretes:slots '

/** The engine refuses longer names of queues. */
export const MOST_LETTERS = 128
