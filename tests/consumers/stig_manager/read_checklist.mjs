// Reads a checklist as STIG Manager's own client does, and prints what it made of it as JSON.
//   node read_checklist.mjs FILE.ckl|FILE.cklb
import { readFileSync } from 'node:fs'
import { reviewsFromCkl, reviewsFromCklb } from '@nuwcdivnpt/stig-manager-client-modules'

const file = process.argv[2]
const read = file.endsWith('.cklb') ? reviewsFromCklb : reviewsFromCkl
const made = read({
  data: readFileSync(file, 'utf8'),
  fieldSettings: {
    detail: { enabled: 'always', required: 'findings' },
    comment: { enabled: 'findings', required: 'findings' }
  },
  allowAccept: false,
  importOptions: {
    autoStatus: { fail: 'saved', notapplicable: 'saved', pass: 'saved' },
    unreviewed: 'always',
    unreviewedCommented: 'notchecked',
    emptyDetail: 'ignore',
    emptyComment: 'ignore',
    allowCustom: true
  },
  sourceRef: file
})
process.stdout.write(JSON.stringify(made))
