import { systemRuntime } from '#src/runtime.ts'
import { fixedProgram } from '#src/xray/programs/program.ts'
import { createXrayProcess } from '#src/xray/life/process.ts'
import { renderConfig } from '#src/xray/config/render.ts'
import { silentLog } from './silent-log.ts'
import { xrayBinary } from './xray-binary.ts'
import { plainInbound, xrayModel } from './xray-server.ts'

// A process of its own that owns an Xray in the folder it is given, so that a test can kill it.
const [dir = '', port = ''] = process.argv.slice(2)
const xray = createXrayProcess({
  program: fixedProgram(xrayBinary()),
  dir,
  runtime: systemRuntime(),
  log: silentLog(),
})
if (!(await xray.adopt())) {
  await xray.start(() => renderConfig(xrayModel(dir, [plainInbound('main', Number(port))])))
}
console.log(JSON.stringify(xray.state()))
// Stays until it is killed.
setInterval(() => undefined, 60_000)
