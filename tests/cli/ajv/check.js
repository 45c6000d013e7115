// check.js SCHEMA CASES: ajv in strict mode takes the schema, and each case's text as it should; YAML is read by another
// library than ours, and other than in test_schema.sh.
'use strict'
const fs = require('fs')
const Ajv = require('ajv/dist/2020')
const YAML = require('yaml')

const ajv = new Ajv({ strict: true, allErrors: true })
const validate = ajv.compile(JSON.parse(fs.readFileSync(process.argv[2], 'utf8')))
const cases = JSON.parse(fs.readFileSync(process.argv[3], 'utf8'))
let wrong = 0
for (const { name, text, valid } of cases) {
  const ok = validate(YAML.parse(text, { merge: true }))
  if (ok === valid) continue
  wrong++
  console.log(`${name}: ${ok ? 'taken, and should not be' : ajv.errorsText(validate.errors).slice(0, 300)}`)
}
const refused = cases.filter(c => !c.valid).length
console.log(`ajv: ${cases.length} files, ${refused} of them wrong ones`)
process.exit(wrong || refused < 20 || cases.length - refused < 20 ? 1 : 0)
