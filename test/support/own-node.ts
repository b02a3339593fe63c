import { createNode } from '#src/node/node.ts'
import { testNodeOptions, openTestStore } from './test-node.ts'

// A process of its own that owns the node of the folder it is given, so that a test can kill it.
const [dir = ''] = process.argv.slice(2)
await createNode(testNodeOptions(dir, openTestStore(dir))).start()
console.log('the node is ready')
